/** The SQL of removing what is past its time. @module */
import type { Instant } from "shared/contracts/time.ts";
import { type Database, type Queryable, type Transaction, transaction } from "shared/db/connection.ts";

/** What arrived before these is past its time. */
export interface Cutoffs {
  sources: readonly { source: string; before: Instant }[];
  /** For records whose source is gone. */
  others: Instant;
}

/** A table whose rows have a source and an arrival, or a partition of `events`. */
export interface KeptTable {
  name: string;
  kind: "events" | "states" | "rows";
  cutoffs: Cutoffs;
  /** Messages of EVENTS that arrived after this may come again: that they were dealt with is remembered. */
  mayComeAgainSince: Instant;
}

const cutoffTable = (db: Queryable, { sources }: Cutoffs) =>
  db`json_to_recordset(${JSON.stringify(sources)}::text::json) as cutoff (source text, before timestamptz)`;

/** Whether anything arrived on a day that began before the cutoffs. */
export async function isAnythingOlder(db: Queryable, cutoffs: Cutoffs): Promise<boolean> {
  const [row] = await db<{ older: boolean }[]>`
    select exists (
      select from ledger l left join ${cutoffTable(db, cutoffs)} on cutoff.source = l.source
      where l.day < coalesce(cutoff.before, ${cutoffs.others}::timestamptz)
    ) as older`;
  return row!.older;
}

/** The partitions of `events` with something to remove: the ledger knows what each day has stored and lost. */
export async function listDuePartitions(db: Queryable, cutoffs: Cutoffs): Promise<string[]> {
  const rows = await db<{ name: string }[]>`
    select distinct partition.relname::text as name
    from ledger l
    left join ${cutoffTable(db, cutoffs)} on cutoff.source = l.source
    join pg_class partition on partition.relname = 'events_' || to_char(l.day, 'YYYYMMDD')
    join pg_inherits on inhrelid = partition.oid and inhparent = 'events'::regclass
    where l.stored > l.removed and l.day < coalesce(cutoff.before, ${cutoffs.others}::timestamptz)
    order by name`;
  return rows.map(({ name }) => name);
}

/**
 * Begins the pass of a day over a table, unless it has begun, or an older one is not done: that one comes to its end
 * first, so that the last rows of a table get their turn however long it takes.
 */
export async function beginPass(db: Queryable, name: string, day: string): Promise<void> {
  await db`insert into retention_passes (name, day) values (${name}, ${day}) on conflict do nothing`;
  await db`
    update retention_passes set day = ${day}, block = 0, done = false
    where name = (
      select name from retention_passes
      where name = ${name} and done and day < ${day}
      for update skip locked
    )`;
}

/** Forgets the passes over partitions that were dropped. */
export async function forgetPasses(db: Queryable): Promise<void> {
  await db`delete from retention_passes where to_regclass(name) is null`;
}

/**
 * Removes what is past its time from the next blocks of a table, in one transaction with how far the pass is.
 * Waits for nobody, and nobody waits for it for longer than the step: rows that others hold stay until the next pass.
 *
 * @returns rows removed; undefined when the pass is done, or somebody else is at it
 */
export function removeNextRows(
  db: Database,
  table: KeptTable,
  { blocks }: { blocks: number },
): Promise<number | undefined> {
  const { name, kind } = table;
  return transaction(db, async (tx) => {
    const [pass] = await tx<{ block: number; end: number }[]>`
      select block, coalesce(pg_relation_size(to_regclass(name)) / current_setting('block_size')::bigint, 0) as end
      from retention_passes
      where name = ${name} and not done
      for update skip locked`;
    if (pass === undefined) return undefined;
    const next = pass.block + blocks;
    const removed = pass.block >= pass.end ? [] : await removeRows(tx, { ...table, from: pass.block, next });
    if (kind === "events") await countRemoved(tx, removed);
    await tx`
      update retention_passes set block = ${next}, done = ${next >= pass.end} where name = ${name}`;
    return removed.reduce((sum, { rows }) => sum + rows, 0);
  });
}

interface Removed {
  source: string;
  day: string;
  rows: number;
}

async function removeRows(
  tx: Transaction,
  { name, kind, cutoffs, mayComeAgainSince, from, next }: KeptTable & { from: number; next: number },
): Promise<Removed[]> {
  return await tx<Removed[]>`
    with removed as (
      delete from ${tx(name)}
      where ctid = any(array(
        select kept.ctid
        from ${tx(name)} as kept
        left join ${cutoffTable(tx, cutoffs)} on cutoff.source = kept.source
        where kept.ctid >= ${`(${from},0)`}::tid and kept.ctid < ${`(${next},0)`}::tid
          and kept.arrived_at < coalesce(cutoff.before, ${cutoffs.others}::timestamptz)
          ${kind === "states" ? tx`and ${isSuperseded(tx)}` : tx``}
        for update of kept skip locked
      ))
      returning source, arrived_at, ${kind === "events" ? tx`sequence` : tx`null::bigint as sequence`}
    ),
    remembered as (
      insert into removed_messages (source, sequence, arrived_at)
      select distinct source, sequence, arrived_at from removed
      where sequence is not null and arrived_at > ${mayComeAgainSince}
      on conflict do nothing
    )
    select source, (arrived_at at time zone 'UTC')::date as day, count(*) as rows
    from removed group by source, day order by source, day`;
}

/** Whether a newer state of the entity is there. */
const isSuperseded = (tx: Transaction) =>
  tx`exists (
    select from entity_states newer
    where newer.source = kept.source and newer.entity = kept.entity
      and (newer.event_time, newer.known_at, newer.id) > (kept.event_time, kept.known_at, kept.id)
  )`;

async function countRemoved(tx: Transaction, removed: readonly Removed[]): Promise<void> {
  for (const { source, day, rows } of removed) {
    await tx`update ledger set removed = removed + ${rows} where source = ${source} and day = ${day}`;
  }
}
