/**
 * Tables partitioned by day: partitions are made before the rows that need them, and dropped whole when their day is
 * older than the retention.
 *
 * @module
 */
import type { Part } from "../lifecycle.ts";
import type { Logger } from "../log.ts";
import { createPeriodicPart } from "../periodic_part.ts";
import { type Database, transaction } from "./connection.ts";

export interface DailyPartitionsOptions {
  /** The partitioned table; its key is a `timestamptz` range. */
  table: string;
  /** Days kept, today included. */
  keepDays: number;
  log: Logger;
  /** How often old partitions are looked for; default: each hour. */
  sweepEveryMs?: number;
}

export interface DailyPartitions extends Part {
  /** Makes the partitions of these days (`2011-05-02`) where they are missing. Call it before the transaction that inserts. */
  ensure(days: ReadonlySet<string>): Promise<void>;
  /** Drops the partitions of days before the retention. @returns the days dropped */
  sweep(now?: Date): Promise<string[]>;
}

const DAY_MS = 86_400_000;

/** Partitions named `<table>_<yyyymmdd>`. A day that retention has dropped is made again when a row still needs it. */
export function createDailyPartitions(db: Database, options: DailyPartitionsOptions): DailyPartitions {
  const { table, keepDays, log, sweepEveryMs = 3_600_000 } = options;
  const known = new Set<string>();

  const partitionOf = (day: string) => `${table}_${day.replaceAll("-", "")}`;

  const oldestKept = (now: Date) =>
    new Date(now.getTime() - (keepDays - 1) * DAY_MS).toISOString().slice(0, 10);

  async function ensure(days: ReadonlySet<string>): Promise<void> {
    const oldest = oldestKept(new Date());
    // A day before the retention may have been dropped since, by any copy.
    const missing = [...days].filter((day) => day < oldest || !known.has(day));
    if (missing.length === 0) return;
    await transaction(db, async (tx) => {
      // `if not exists` alone does not keep two copies from making the same partition at once.
      await tx`select pg_advisory_xact_lock(hashtextextended(${`partitions/${table}`}, 0))`;
      for (const day of missing) {
        const next = new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, 10);
        await tx.unsafe(
          `create table if not exists ${partitionOf(day)} partition of ${table} ` +
            `for values from ('${day}T00:00:00Z') to ('${next}T00:00:00Z')`,
        );
      }
    });
    for (const day of missing) known.add(day);
  }

  async function sweep(now: Date = new Date()): Promise<string[]> {
    const oldest = oldestKept(now);
    const rows = await db<{ name: string }[]>`
      select inhrelid::regclass::text as name from pg_inherits where inhparent = ${table}::regclass`;
    const dropped: string[] = [];
    for (const { name } of rows) {
      const [, year, month, date] = /_(\d{4})(\d{2})(\d{2})$/.exec(name) ?? [];
      const day = `${year}-${month}-${date}`;
      if (date === undefined || day >= oldest) continue;
      await transaction(db, async (tx) => {
        // The drop locks the whole table: behind a long reader it would wait, and the intake behind it. The next
        // sweep tries again.
        await tx`set local lock_timeout = '1s'`;
        await tx.unsafe(`drop table if exists ${name}`);
      });
      dropped.push(day);
    }
    if (dropped.length > 0) log.info({ table, dropped }, "Dropped partitions older than the retention");
    return dropped.sort();
  }

  const sweeper = createPeriodicPart({
    name: `partitions of ${table}`,
    action: `drop old partitions of ${table}`,
    everyMs: sweepEveryMs,
    pausesFirst: true,
    log,
    work: () => sweep(),
  });
  return { ...sweeper, ensure, sweep };
}
