/**
 * Whatever comes in, by whatever way: the ledger balances, every record is stored once or rejected with its reasons,
 * and what is stored arrives at data-preprocessing. Random records are compared with a model.
 *
 * What failed is tried again with `MICROML_SEED=<the seed that is told>`; `MICROML_LEDGER_RUNS=200` makes it long.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import * as contract from "shared/contracts/data_ingestion.ts";
import { counts } from "shared/contracts/data_preprocessing.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { call } from "shared/bus/endpoints.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { startTestService } from "shared/testing/service.ts";
import { createApp as createIngestion } from "../services/data-ingestion/app.ts";
import { configSchema as ingestionConfig } from "../services/data-ingestion/config.ts";
import { createApp as createPreprocessing } from "../services/data-preprocessing/app.ts";
import { configSchema as preprocessingConfig } from "../services/data-preprocessing/config.ts";
import { startJourneyStack } from "./journey_stack.ts";
import {
  bodyOf,
  compareRejected,
  compareStored,
  type Expected,
  FAULT_NAMES,
  MAX_RECORD_BYTES,
  redrive,
  type SourceModel,
  sourceModel,
  storedCount,
  tagOf,
} from "./ledger_model.ts";
import { type Door, insist, LOG_WAYS, RECORD_WAYS, send, type Sending } from "./ledger_ways.ts";

const RUNS = Number(Deno.env.get("MICROML_LEDGER_RUNS") || 4);
const SEED = Number(Deno.env.get("MICROML_SEED") || Math.trunc(Math.random() * 2 ** 31));
const ENV = { MAX_RECORD_BYTES: String(MAX_RECORD_BYTES) };

const KINDS = ["orders", "visits", "prices", "access", "ghost"] as const;
type Kind = typeof KINDS[number];

/** What happens once everything sent before is settled. */
type Change =
  | { change: "nothing" | "widen level" | "widen lateness" | "define" | "deliver again" }
  | { change: "redrive"; which: "all" | "level" | "file" | "half" };

/** Things sent, one after the other without waiting for what comes of them, and then a change. */
interface Round {
  sendings: readonly { kind: Kind; sending: Sending }[];
  change: Change;
}

const sendingArbitrary = (isLogs: boolean): fc.Arbitrary<Sending> =>
  fc.record({
    way: fc.constantFrom(...isLogs ? LOG_WAYS : RECORD_WAYS),
    records: fc.array(
      fc.record({
        order: fc.nat({ max: 14 }),
        fault: fc.oneof({ weight: 2, arbitrary: fc.constant("none" as const) }, {
          weight: 3,
          arbitrary: fc.constantFrom(...FAULT_NAMES),
        }),
      }),
      { minLength: 1, maxLength: 6 },
    ),
    again: fc.boolean(),
    cuts: fc.array(fc.nat({ max: 1_000 }), { maxLength: 3 }),
  });

const roundsArbitrary: fc.Arbitrary<Round[]> = fc.array(
  fc.record({
    sendings: fc.array(
      fc.constantFrom(...KINDS).chain((kind) =>
        sendingArbitrary(kind === "access").map((sending) => ({ kind, sending }))
      ),
      { minLength: 3, maxLength: 12 },
    ),
    change: fc.oneof(
      fc.record({
        change: fc.constantFrom("nothing", "widen level", "widen lateness", "define", "deliver again"),
      }),
      fc.record({
        change: fc.constant("redrive" as const),
        which: fc.constantFrom("all", "level", "file", "half"),
      }),
    ),
  }),
  { minLength: 2, maxLength: 5 },
);

type Sources = Readonly<Record<Kind, SourceModel>>;

/** Sources that no other run has. */
async function newSources(door: Door): Promise<Sources> {
  const name = (kind: Kind) => `${kind}_${door.next()}`;
  const sources: Sources = {
    orders: sourceModel(name("orders"), "events"),
    visits: sourceModel(name("visits"), "events", { declared: false }),
    prices: sourceModel(name("prices"), "entities"),
    access: sourceModel(name("access"), "logs"),
    ghost: sourceModel(name("ghost"), "events", { defined: false }),
  };
  for (const source of Object.values(sources)) if (source.defined) await put(door, source);
  return sources;
}

async function put(door: Door, source: SourceModel): Promise<void> {
  await insist(
    door,
    () => call(door.bus, contract.putSource, { project: "shop", name: source.name, body: bodyOf(source) }),
  );
}

async function run(door: Door, rounds: readonly Round[]): Promise<void> {
  const sources = await newSources(door);
  for (const { sendings, change } of rounds) {
    for (const { kind, sending } of sendings) {
      const source = sources[kind];
      // An upload is refused at the door then.
      if (!source.defined && sending.way.transport === "upload") continue;
      await send(door, source, sending);
    }
    await settled(door, sources);
    await make(door, sources, change);
    await settled(door, sources);
  }
}

async function make(door: Door, sources: Sources, change: Change): Promise<void> {
  switch (change.change) {
    case "nothing":
      return;
    case "define":
      sources.ghost.defined = true;
      return await put(door, sources.ghost);
    case "deliver again":
      // Nothing knows any more what was acknowledged: a durable made anew brings the whole stream once more.
      await door.bus.jsm.consumers.delete(STREAM.events.name, STREAM.events.durables[0]);
      return await eventually(async () => {
        const { num_pending, num_ack_pending } = await door.bus.jsm.consumers.info(
          STREAM.events.name,
          STREAM.events.durables[0],
        );
        return num_pending + num_ack_pending === 0;
      }, { timeoutMs: 60_000 }).then(() => undefined);
    case "redrive":
      for (const source of Object.values(sources)) await redriveSome(door, source, change.which);
      return;
    default:
      for (const source of Object.values(sources).filter(({ defined }) => defined)) {
        if (change.change === "widen level") source.levels = ["low", "high"];
        else source.lateDays = 90;
        await put(door, source);
      }
  }
}

async function redriveSome(
  door: Door,
  source: SourceModel,
  which: "all" | "level" | "file" | "half",
): Promise<void> {
  const rejected = await allRejected(door, source);
  const numbers = rejected.filter((_, index) => index % 2 === 0).map(({ number }) => number);
  const file = rejected.find((record) => record.file !== null)?.file?.name;
  const isOfHalf = new Set(rejected.filter(({ number }) => numbers.includes(number)).map(tagOfRecord));
  const choices = {
    all: { filter: {}, chooses: () => true },
    level: { filter: { path: "/level" }, chooses: ({ paths }: Expected) => paths.includes("/level") },
    file: { filter: { file }, chooses: (expected: Expected) => expected.file?.name === file },
    half: { filter: { numbers }, chooses: ({ tag }: Expected) => isOfHalf.has(tag) },
  };
  const { filter, chooses } = choices[which];
  if ((which === "file" && file === undefined) || (which === "half" && numbers.length === 0)) return;
  const expected = redrive(source, chooses);
  const sums = { stored: 0, duplicates: 0, rejected: 0 };
  let after: string | undefined;
  do {
    const idempotencyKey = crypto.randomUUID();
    const page = await insist(door, () =>
      call(door.bus, contract.redriveRejected, {
        source: source.name,
        limit: 7,
        ...JSON.parse(JSON.stringify({ ...filter, after })),
      }, { idempotencyKey }));
    sums.stored += page.stored;
    sums.duplicates += page.duplicates;
    sums.rejected += page.rejected;
    after = page.next ?? undefined;
  } while (after !== undefined);
  assertEquals(sums, expected, `redriving ${which} of ${source.name}`);
}

const tagOfRecord = ({ payload }: contract.RejectedRecord) => tagOf(payload);

async function allRejected(door: Door, { name }: SourceModel): Promise<contract.RejectedRecord[]> {
  const all: contract.RejectedRecord[] = [];
  let after: string | undefined;
  do {
    const page = await insist(door, () =>
      call(door.bus, contract.rejected, {
        source: name,
        limit: 50,
        ...(after === undefined ? {} : { after }),
      }));
    all.push(...page.rejected);
    after = page.next ?? undefined;
  } while (after !== undefined);
  return all;
}

/** Waits until nothing is pending, and compares everything with the model. */
async function settled(door: Door, sources: Sources): Promise<void> {
  for (const source of Object.values(sources)) {
    if (source.accepted === 0) continue;
    const { name: of } = source;
    const stored = storedCount(source);
    await eventually(async () => {
      const ledger = async (by: "source" | "day") =>
        (await call(door.bus, contract.ledger, { source: of, by })).sources;
      const [row] = await ledger("source");
      const rejected = source.rejected.length;
      const sums = { accepted: source.accepted, pending: 0, stored, rejected, deadLettered: 0 };
      const duplicates = source.accepted - stored - rejected;
      assertEquals(row, { source: of, ...sums, duplicates, balanced: true });
      const days = await ledger("day");
      assertEquals(days.filter(({ balanced, pending }) => !balanced || pending !== 0), []);
      for (const column of ["accepted", "stored", "rejected", "duplicates"] as const) {
        assertEquals(days.reduce((sum, day) => sum + day[column], 0), row![column], `${column} by day`);
      }
      const { sources: [cleaned] } = await call(door.bus, counts, { source: of });
      const { received = 0, duplicates: repeated = 0, clean = 0 } = cleaned ?? {};
      assertEquals([received - repeated, clean], [stored, stored], "received by data-preprocessing");
      // What a killed process had in hand comes again after the durable's ack wait, 30 s.
    }, { timeoutMs: 90_000 });
    const { events } = await insist(
      door,
      () => call(door.bus, contract.storedEvents, { source: of, limit: 1_000 }),
    );
    compareStored(source, events);
    compareRejected(source, await allRejected(door, source));
  }
}

const counter = () => {
  let count = 0;
  return () => ++count;
};

Deno.test("the ledger, the tables and what goes on agree with a model, whatever comes in by whatever way", async () => {
  await using bus = await startTestBus();
  await using ingestion = await startTestService("data-ingestion", ingestionConfig, createIngestion, {
    bus,
    env: ENV,
  });
  await using _preprocessing = await startTestService(
    "data-preprocessing",
    preprocessingConfig,
    createPreprocessing,
    { bus },
  );
  const door: Door = { bus, url: ingestion.url, next: counter(), patient: false };
  await fc.assert(fc.asyncProperty(roundsArbitrary, (rounds) => run(door, rounds)), {
    seed: SEED,
    numRuns: RUNS,
    endOnFailure: true,
  });
});

/** Kills the service at random points, over and over, while the work is done. */
async function whileKilled(
  kill: () => Promise<void>,
  restart: () => Promise<void>,
  { pauses, work }: { pauses: readonly number[]; work: () => Promise<void> },
): Promise<void> {
  let isDone = false;
  const working = work().finally(() => isDone = true);
  const killing = (async () => {
    for (const pause of pauses) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      if (isDone) return;
      await kill();
      await restart();
    }
  })();
  const [worked, killed] = await Promise.allSettled([working, killing]);
  if (worked.status === "rejected") throw worked.reason;
  if (killed.status === "rejected") throw killed.reason;
}

Deno.test("nothing is lost or doubled when data-ingestion is killed at random points", async () => {
  await using journey = await startJourneyStack({
    services: ["data-ingestion", "data-preprocessing"],
    env: ENV,
  });
  const { stack, bus } = journey;
  const { url } = stack.services.get("data-ingestion")!;
  const door: Door = { bus, url, next: counter(), patient: true };
  const pauses = fc.array(fc.nat({ max: 700 }), { minLength: 4, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(
      roundsArbitrary,
      pauses,
      (rounds, pauses) =>
        whileKilled(() => stack.kill("data-ingestion"), () => stack.restart("data-ingestion"), {
          pauses,
          work: () => run(door, rounds),
        }),
    ),
    { seed: SEED, numRuns: Math.ceil(RUNS / 12), endOnFailure: true },
  );
});
