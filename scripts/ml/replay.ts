/** `ml replay`: publishes stored records once more, beside the live flow. @module */
import { call } from "shared/bus/endpoints.ts";
import type { Bus } from "shared/bus/connection.ts";
import {
  cancelReplay,
  getReplay,
  listReplays,
  type Replay,
  replayTargetSchema,
  startReplay,
} from "shared/contracts/replay.ts";
import { parseTime } from "shared/contracts/time.ts";
import { delay } from "shared/delay.ts";
import {
  type CommandContext,
  defineCommand,
  given,
  JSON_OPTION,
  numberOption,
  required,
  WrongUsage,
} from "./command.ts";
import { type Column, renderTable } from "./table.ts";

const ASK_EVERY_MS = 500;

export const replayStart = defineCommand({
  name: "replay start",
  summary: "publish stored records of a source once more, in the order of (event time, id)",
  options: {
    source: { type: "string", value: "NAME", about: "the source" },
    from: { type: "string", value: "TIME", about: "first event time; default: the first stored" },
    until: { type: "string", value: "TIME", about: "end of the event times, itself excluded; default: all" },
    where: {
      type: "string",
      value: "CEL",
      about: "only records for which this holds, such as 'e.price > 10.0'",
    },
    to: { type: "string", value: "TARGET", about: "data-preprocessing (default), all or consumer" },
    run: { type: "string", value: "RUN", about: "a name for it; default: one is made" },
    rate: { type: "string", value: "N", about: "at most so many records a second" },
    pace: { type: "string", value: "N", about: "so many times as fast as it happened" },
    detach: { type: "boolean", about: "do not wait for its end" },
    json: JSON_OPTION,
  },
  details:
    `data-preprocessing   cleaned by the cleaning in force, counted and quarantined under the run, not published
all                  cleaned, and handed on as the live flow is
consumer             for a consumer of the stream REPLAY that somebody has made for it

A replay goes on when this command is interrupted: see replay list, end it with replay cancel.`,
  async run({ options }, context) {
    const { source, from, until, where, to, run, rate, pace, detach, json } = options;
    const request = {
      source: required(source, "source"),
      to: targetOf(to),
      ...given({
        run,
        where,
        from: timeOption(from, "from"),
        until: timeOption(until, "until"),
        rate: numberOption(rate, "rate"),
        pace: numberOption(pace, "pace"),
      }),
    };
    await using bus = await context.connect();
    const started = await call(bus, startReplay, request, {
      actor: context.actor,
      idempotencyKey: crypto.randomUUID(),
    });
    const replay = detach ? started : await untilFinished(bus, started, context);
    context.print(json ? JSON.stringify(replay, null, 2) : describe(replay));
    return replay.state === "done" || detach ? 0 : 1;
  },
});

export const replayList = defineCommand({
  name: "replay list",
  summary: "replays, newest first",
  options: {
    source: { type: "string", value: "NAME", about: "only of this source" },
    limit: { type: "string", value: "N", about: "at most so many, up to 200; default 50" },
    json: JSON_OPTION,
  },
  async run({ options: { source, limit, json } }, context) {
    await using bus = await context.connect();
    const reply = await call(bus, listReplays, given({ source, limit: numberOption(limit, "limit") }));
    context.print(
      json
        ? JSON.stringify(reply, null, 2)
        : renderTable(reply.replays, COLUMNS, { empty: "There are no replays" }),
    );
    return 0;
  },
});

export const replayCancel = defineCommand({
  name: "replay cancel",
  summary: "end a replay where it is",
  positionals: ["RUN"],
  options: { json: JSON_OPTION },
  async run({ positionals, options: { json } }, context) {
    const [run = ""] = positionals;
    await using bus = await context.connect();
    const replay = await call(bus, cancelReplay, { run }, {
      actor: context.actor,
      idempotencyKey: crypto.randomUUID(),
    });
    context.print(json ? JSON.stringify(replay, null, 2) : describe(replay));
    return 0;
  },
});

async function untilFinished(bus: Bus, started: Replay, context: CommandContext): Promise<Replay> {
  let replay = started;
  while (replay.state === "running") {
    context.progress(describe(replay));
    await delay(ASK_EVERY_MS);
    replay = await call(bus, getReplay, { run: started.run });
  }
  return replay;
}

function describe({ run, source, state, read, published, position, reason }: Replay): string {
  const at = position === null ? "" : `, at ${position.time}`;
  const why = reason === null ? "" : `: ${reason}`;
  return `Replay ${run} of ${source} is ${state}${why}: ${published} of ${read} records published${at}`;
}

const COLUMNS: Column<Replay>[] = [
  { title: "run", of: ({ run }) => run },
  { title: "source", of: ({ source }) => source },
  { title: "from", of: ({ from }) => from ?? "the first" },
  { title: "until", of: ({ until }) => until ?? "the last" },
  { title: "where", of: ({ where }) => where },
  { title: "to", of: ({ to }) => to },
  { title: "state", of: ({ state, reason }) => reason === null ? state : `${state}: ${reason}` },
  { title: "read", of: ({ read }) => read },
  { title: "published", of: ({ published }) => published },
  { title: "started", of: ({ startedAt }) => startedAt },
  { title: "by", of: ({ actor }) => actor },
];

function targetOf(to: string | undefined) {
  const target = replayTargetSchema.safeParse(to ?? "data-preprocessing");
  if (target.success) return target.data;
  throw new WrongUsage(
    `the option --to must be one of ${replayTargetSchema.options.join(", ")}, not "${to}"`,
  );
}

function timeOption(value: string | undefined, option: string) {
  if (value === undefined) return undefined;
  const time = parseTime(value);
  if (time !== undefined) return time;
  throw new WrongUsage(
    `the option --${option} must be a time such as 2011-05-02 or 2011-05-02T08:26:00Z, not "${value}"`,
  );
}
