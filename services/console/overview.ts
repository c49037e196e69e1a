/** Watches the platform: stats over the bus, readiness over HTTP, streams from JetStream. @module */
import { z } from "zod";
import type { Bus } from "shared/bus/connection.ts";
import { type Overview, type Stage, stageStatsSchema } from "shared/contracts/console.ts";
import { STREAMS } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import { messageOf } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import type { ServiceRow } from "../../scripts/services.ts";
import { type CopyStats, rateBetween, type Sample, sampleOf, totalsOf } from "./domain.ts";

export interface OverviewDeps {
  bus: Bus;
  log: Logger;
  services: readonly ServiceRow[];
  urlOf: (row: ServiceRow) => string;
}

export interface OverviewWatch extends Part {
  /** The newest picture; taken now when nobody has been watching. */
  current(): Promise<Overview>;
  /** Pictures as they are taken, the newest at once, until the signal ends. */
  follow(signal: AbortSignal): AsyncIterable<Overview>;
}

const EVERY_MS = 1_000;
/** Rates are taken over about this many pictures. */
const RATE_SAMPLES = 5;
const ANSWER_LIMIT_MS = 800;

/** Takes a picture each second while somebody follows, and none when nobody does. */
export function createOverviewWatch(deps: OverviewDeps): OverviewWatch {
  const samples = new Map<string, Sample[]>();
  const followers = new Set<(picture: Overview) => void>();
  let last: { picture: Overview; atMs: number } | undefined;
  let taking: Promise<Overview> | undefined;
  let timer: ReturnType<typeof setInterval> | undefined;

  function take(): Promise<Overview> {
    taking ??= takePicture(deps, samples).then((picture) => {
      last = { picture, atMs: Date.now() };
      for (const tell of followers) tell(picture);
      return picture;
    }).finally(() => taking = undefined);
    return taking;
  }

  function watch(): void {
    if (followers.size === 0) {
      clearInterval(timer);
      timer = undefined;
    } else {
      timer ??= setInterval(
        () => take().catch((error) => deps.log.warn(`Cannot look at the platform: ${messageOf(error)}`)),
        EVERY_MS,
      );
    }
  }

  function current(): Promise<Overview> {
    return last && Date.now() - last.atMs < EVERY_MS ? Promise.resolve(last.picture) : take();
  }

  return {
    name: "overview",
    start: () => Promise.resolve(),
    async stop() {
      followers.clear();
      watch();
      await taking;
    },
    current,
    async *follow(signal) {
      let wake: (picture: Overview | undefined) => void = () => {};
      const tell = (picture: Overview) => wake(picture);
      const end = () => wake(undefined);
      signal.addEventListener("abort", end);
      followers.add(tell);
      watch();
      try {
        let picture: Overview | undefined = await current();
        while (picture && !signal.aborted) {
          yield picture;
          // It may have ended while the picture was sent, when nobody waited to hear of it.
          if (signal.aborted) return;
          picture = await new Promise<Overview | undefined>((resolve) => wake = resolve);
        }
      } finally {
        signal.removeEventListener("abort", end);
        followers.delete(tell);
        watch();
      }
    },
  };
}

async function takePicture(deps: OverviewDeps, samples: Map<string, Sample[]>): Promise<Overview> {
  const [copies, streams, ...readiness] = await Promise.all([
    askCopies(deps.bus),
    readStreams(deps.bus),
    ...deps.services.map((row) => askReadiness(deps.urlOf(row))),
  ]);
  const atMs = Date.now();
  const stages = deps.services.map((row, index): Stage => {
    const own = copies.filter(({ service }) => service === row.name);
    const history = samples.get(row.name) ?? [];
    const sample = sampleOf(own, atMs);
    const oldest = history[0];
    samples.set(row.name, [...history.slice(1 - RATE_SAMPLES), sample]);
    return {
      service: row.name,
      summary: row.summary,
      reads: [...row.reads],
      writes: [...row.writes],
      ...readiness[index]!,
      ...totalsOf(own),
      rate: oldest && own.length > 0 ? rateBetween(oldest, sample) : null,
    };
  });
  return { at: toInstant(atMs), stages, streams };
}

const microStatsSchema = z.object({
  name: z.string(),
  id: z.string(),
  endpoints: z.array(z.object({ num_requests: z.number(), data: z.unknown().optional() })).default([]),
});

/** Every copy of every service answers `$SRV.STATS`. */
async function askCopies(bus: Bus): Promise<CopyStats[]> {
  const answers = await bus.nc.requestMany("$SRV.STATS", "", {
    strategy: "stall",
    stall: 200,
    maxWait: ANSWER_LIMIT_MS,
  });
  const copies: CopyStats[] = [];
  for await (const answer of answers) {
    const stats = microStatsSchema.safeParse(answer.json());
    if (!stats.success) continue;
    const { name, id, endpoints } = stats.data;
    const data = endpoints.map((endpoint) => stageStatsSchema.safeParse(endpoint.data)).find(({ success }) =>
      success
    )?.data;
    copies.push({
      service: name,
      id,
      requests: endpoints.reduce((sum, endpoint) => sum + endpoint.num_requests, 0),
      data: data ?? {},
    });
  }
  return copies;
}

async function readStreams(bus: Bus): Promise<Overview["streams"]> {
  return await Promise.all(STREAMS.map(async ({ name }) => {
    const { state } = await bus.jsm.streams.info(name);
    return { name, messages: state.messages, bytes: state.bytes };
  }));
}

const readinessSchema = z.object({
  ready: z.boolean(),
  checks: z.record(z.string(), z.object({ ok: z.boolean(), reason: z.string().optional() })).default({}),
});

async function askReadiness(url: string): Promise<Pick<Stage, "health" | "reason">> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
    const { ready, checks } = readinessSchema.parse(await response.json());
    const reasons = Object.entries(checks).filter(([, { ok }]) => !ok).map(([name, { reason }]) =>
      `${name}: ${reason}`
    );
    return ready
      ? { health: "ready", reason: null }
      : { health: "waiting", reason: reasons.join("; ") || null };
  } catch (error) {
    return { health: "down", reason: messageOf(error) };
  }
}
