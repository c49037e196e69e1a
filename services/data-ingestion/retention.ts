/** The use case of forgetting: what is past its time is removed, a little at a time. @module */
import type { SourceBody } from "shared/contracts/source.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { delay } from "shared/delay.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart } from "shared/periodic_part.ts";
import { horizonMs, retentionMs } from "./domain/keeping.ts";
import {
  beginPass,
  type Cutoffs,
  forgetPasses,
  isAnythingOlder,
  type KeptTable,
  listDuePartitions,
  removeNextRows,
} from "./repository/retention.ts";

export interface RetentionDeps {
  db: Database;
  /** The sources in force. Records of others are kept for `keepDays`. */
  sources(): readonly KeptSource[];
  keepDays: number;
  log: Logger;
}

export interface KeptSource {
  name: string;
  body: Pick<SourceBody, "retention" | "duplicateHorizon">;
}

export interface SweepOptions {
  /** Default: the wall clock's. */
  now?: Date;
  /** Ends the sweep after the step in hand. */
  signal?: AbortSignal;
  /** Blocks (of 8 KiB) of a table that one transaction looks at. Default 64: some thousand rows. */
  blocks?: number;
}

/** Rows removed, by table. */
export type Swept = Record<string, number>;

const SWEEP_MS = 600_000;

/** Once a UTC day, one of the copies removes what is past its time by then. */
export function createRetention(deps: RetentionDeps): Part {
  const { log } = deps;
  return createPeriodicPart({
    name: "retention",
    action: "remove records past their retention",
    everyMs: SWEEP_MS,
    log,
    async work(signal) {
      const removed = await sweep(deps, { signal });
      if (Object.keys(removed).length > 0) log.info({ removed }, "Removed records past their retention");
    },
  });
}

/**
 * Goes over each table once a day, in steps that are transactions of their own. What broke off is gone on with, by
 * whatever copy comes next; copies that come at once take turns.
 */
export async function sweep(deps: RetentionDeps, options: SweepOptions = {}): Promise<Swept> {
  const { db } = deps;
  const { now = new Date(), signal, blocks = 64 } = options;
  const day = now.toISOString().slice(0, "2011-05-02".length);
  const removed: Swept = {};
  await forgetPasses(db);
  for (const table of await dueTables(deps, now.getTime())) {
    if (signal?.aborted) break;
    await beginPass(db, table.name, day);
    const rows = await removeDue(db, table, { blocks, ...(signal === undefined ? {} : { signal }) });
    if (rows > 0) removed[table.name] = rows;
  }
  return removed;
}

/** @returns rows removed, up to the end of the pass, or to where somebody else is at it */
async function removeDue(
  db: Database,
  table: KeptTable,
  { blocks, signal }: { blocks: number; signal?: AbortSignal },
): Promise<number> {
  let removed = 0;
  while (!signal?.aborted) {
    const startedAt = performance.now();
    const rows = await removeNextRows(db, table, { blocks });
    if (rows === undefined) break;
    removed += rows;
    // The intake has at least half of the database's time.
    await delay(performance.now() - startedAt, signal);
  }
  return removed;
}

async function dueTables(deps: RetentionDeps, nowMs: number): Promise<KeptTable[]> {
  const { db, keepDays } = deps;
  const retention = cutoffsOf(deps, nowMs, (body) => retentionMs(body, keepDays));
  // The guard goes by arrivals: it answers for what has waited in the stream as it would have at once.
  const horizon = cutoffsOf(deps, nowMs, (body) => horizonMs(body, keepDays) + STREAM.events.maxAgeMs);
  // What is no event is counted once because its row is there: it stays while its message, which is in EVENTS as long,
  // may come again.
  const countedOnce = cutoffsOf(
    deps,
    nowMs,
    (body) => Math.max(retentionMs(body, keepDays), STREAM.events.maxAgeMs),
  );

  const mayComeAgainSince = toInstant(Math.max(0, nowMs - STREAM.events.maxAgeMs));
  const partitions = await listDuePartitions(db, retention);
  const tables: Omit<KeptTable, "mayComeAgainSince">[] = [
    { name: "event_keys", kind: "rows", cutoffs: horizon },
    { name: "rejected", kind: "rows", cutoffs: countedOnce },
    { name: "duplicates", kind: "rows", cutoffs: countedOnce },
    { name: "entity_states", kind: "states", cutoffs: retention },
    { name: "dead_letters", kind: "rows", cutoffs: countedOnce },
    { name: "removed_messages", kind: "rows", cutoffs: countedOnce },
  ];
  const older = await Promise.all(tables.map(({ cutoffs }) => isAnythingOlder(db, cutoffs)));
  return [
    ...partitions.map((name) => ({ name, kind: "events" as const, cutoffs: retention })),
    ...tables.filter((_, index) => older[index]),
  ].map((table) => ({ ...table, mayComeAgainSince }));
}

function cutoffsOf(
  { sources }: RetentionDeps,
  nowMs: number,
  keptMs: (body: KeptSource["body"]) => number,
): Cutoffs {
  // Whatever is kept for longer than that, nothing can be as old.
  const before = (body: KeptSource["body"]) => toInstant(Math.max(0, nowMs - keptMs(body)));
  return {
    sources: sources().map(({ name, body }) => ({ source: name, before: before(body) })),
    others: before({}),
  };
}
