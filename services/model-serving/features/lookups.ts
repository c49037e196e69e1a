/**
 * Lookups in the feature store: those that come while others are on their way share the next request, up to what a
 * request takes. Forty callers of one row each then cost the feature store two requests, and not forty.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { z } from "zod";
import type { Entity } from "shared/contracts/entity_key.ts";
import type { online, RequestValues } from "shared/contracts/feature_store.ts";
import type { Instant } from "shared/contracts/time.ts";
import { AppError } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";

/** As it comes over the bus, where what has a default may be left out. */
type OnlineReply = z.input<typeof online.spec.reply>;

/** The rows of all pages. */
export type LookedUp = Omit<OnlineReply, "snapshot"> & {
  /** Null where the pages saw different ones. */
  snapshot: string | null;
};

/** Asks the feature store. */
export type ReadOnline = (
  request: z.input<typeof online.spec.request>,
  options: { timeoutMs: number; traceparent?: string },
) => Promise<OnlineReply>;

export interface Lookup {
  service: string;
  version: number;
  entities: readonly Entity[];
  /** One for each entity: what on-demand features read. */
  request?: readonly RequestValues[] | undefined;
  asOf: Instant | undefined;
  deadlineMs: number;
  traceparent: string | undefined;
}

/** @throws {AppError} `timeout` past the deadline; whatever the feature store answers otherwise */
export type LookUp = (lookup: Lookup) => Promise<LookedUp>;

/** What the contract allows in one request. */
const MAX_ENTITIES = 1_000;
/** Requests of one kind on their way: the feature store works on one while the next is written. */
const MAX_IN_FLIGHT = 2;

interface Waiting {
  lookup: Lookup;
  startedAt: number;
  /** Answered, or given up. */
  settled: boolean;
  resolve: (reply: LookedUp) => void;
  reject: (error: unknown) => void;
}

/** Lookups that may share a request: of the same features at the same T, all with request values or none. */
interface Line {
  waiting: Waiting[];
  inFlight: number;
  scheduled: boolean;
}

export function createLookups(readOnline: ReadOnline): LookUp {
  const lines = new Map<string, Line>();

  function lineOf(key: string): Line {
    let line = lines.get(key);
    if (line === undefined) lines.set(key, line = { waiting: [], inFlight: 0, scheduled: false });
    return line;
  }

  function schedule(key: string, line: Line): void {
    if (line.scheduled || line.inFlight >= MAX_IN_FLIGHT) return;
    line.scheduled = true;
    // Those of this turn of the event loop go together.
    setImmediate(() => {
      line.scheduled = false;
      const group = take(line);
      if (group.length > 0) void send(key, line, group);
      if (line.waiting.length > 0) schedule(key, line);
      else if (line.inFlight === 0) lines.delete(key);
    });
  }

  function take(line: Line): Waiting[] {
    const group: Waiting[] = [];
    let entities = 0;
    let taken = 0;
    for (const waiting of line.waiting) {
      if (group.length > 0 && entities + waiting.lookup.entities.length > MAX_ENTITIES) break;
      taken++;
      if (waiting.settled) continue;
      group.push(waiting);
      entities += waiting.lookup.entities.length;
    }
    line.waiting.splice(0, taken);
    return group;
  }

  async function send(key: string, line: Line, group: readonly Waiting[]): Promise<void> {
    line.inFlight++;
    try {
      distribute(group, await ask(group));
    } catch (error) {
      if (group.length > 1 && !isInfrastructureError(error)) {
        // One wrong entity is its caller's mistake, and not its neighbours'.
        await Promise.all(group.map((one) => askAlone(one)));
      } else {
        for (const { reject } of group) reject(error);
      }
    } finally {
      line.inFlight--;
      if (line.waiting.length > 0) schedule(key, line);
      else if (line.inFlight === 0 && !line.scheduled) lines.delete(key);
    }
  }

  async function ask(group: readonly Waiting[]): Promise<LookedUp> {
    const { service, version, request: values, asOf, traceparent } = group[0]!.lookup;
    // Nobody waits longer than this one may: each has a timer of its own.
    const until = Math.max(...group.map(({ startedAt, lookup }) => startedAt + lookup.deadlineMs));
    const request = {
      features: { service, version },
      entities: group.length === 1
        ? [...group[0]!.lookup.entities]
        : group.flatMap(({ lookup }) => lookup.entities),
      ...(values === undefined ? {} : { request: group.flatMap(({ lookup }) => lookup.request!) }),
      ...(asOf === undefined ? {} : { asOf }),
    };
    const read = (more: { from?: number; asOf?: Instant } = {}) =>
      readOnline({ ...request, ...more }, {
        timeoutMs: Math.max(1, until - performance.now()),
        ...(group.length > 1 || traceparent === undefined ? {} : { traceparent }),
      });
    const reply: LookedUp = await read();
    // Rows that are more than a message holds come page by page, all at the T of the first.
    for (let from = reply.next ?? null; from !== null;) {
      const page = await read({ from, asOf: reply.at });
      reply.rows.push(...page.rows);
      if (page.snapshot !== reply.snapshot) reply.snapshot = null;
      from = page.next ?? null;
    }
    return reply;
  }

  async function askAlone(waiting: Waiting): Promise<void> {
    try {
      distribute([waiting], await ask([waiting]));
    } catch (error) {
      waiting.reject(error);
    }
  }

  return (lookup) => {
    const key = `${lookup.service}@${lookup.version} ${lookup.asOf ?? ""} ${lookup.request !== undefined}`;
    const line = lineOf(key);
    const { promise, resolve, reject } = Promise.withResolvers<LookedUp>();
    const waiting: Waiting = {
      lookup,
      startedAt: performance.now(),
      settled: false,
      resolve: (reply) => settle(() => resolve(reply)),
      reject: (error) => settle(() => reject(error)),
    };
    const timer = setTimeout(() => {
      waiting.reject(
        new AppError("timeout", `The feature store did not answer within ${lookup.deadlineMs / 1_000} s`),
      );
    }, lookup.deadlineMs);
    function settle(tell: () => void): void {
      if (waiting.settled) return;
      waiting.settled = true;
      clearTimeout(timer);
      tell();
    }
    line.waiting.push(waiting);
    schedule(key, line);
    return promise;
  };
}

/** Each its own rows, in their order. */
function distribute(group: readonly Waiting[], reply: LookedUp): void {
  if (group.length === 1) return group[0]!.resolve(reply);
  let from = 0;
  for (const { lookup, resolve } of group) {
    resolve({ ...reply, rows: reply.rows.slice(from, from += lookup.entities.length) });
  }
}
