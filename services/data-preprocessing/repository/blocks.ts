/** The SQL of blocked sources and of what is held of them. @module */
import type { Block } from "shared/contracts/data_preprocessing.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";

export interface NewBlock {
  source: string;
  project: string | null;
  since: Instant;
  reason: string;
}

const columns = (db: Queryable) => db`source, project, since, at, reasons, held`;

/** More would not tell more. */
const MAX_REASONS = 20;

/**
 * Blocks a source; one that is blocked gets one more reason, and what was being released is held again.
 *
 * @returns the block, and whether it is new
 */
export async function upsertBlock(
  tx: Transaction,
  { source, project, since, reason }: NewBlock,
): Promise<{ block: Block; isNew: boolean }> {
  const [row] = await tx<(Block & { isNew: boolean })[]>`
    insert into blocks as b (source, project, since, reasons)
    values (${source}, ${project}, ${since}, array[${reason}])
    on conflict (source) do update
    set since = least(b.since, excluded.since),
        reasons = case
          when excluded.reasons <@ b.reasons or cardinality(b.reasons) >= ${MAX_REASONS} then b.reasons
          else b.reasons || excluded.reasons
        end,
        released_at = null
    returning ${columns(tx)}, xmax = 0 as "isNew"`;
  const { isNew, ...block } = row!;
  return { block, isNew };
}

/** The sources among these that are blocked; none of these blocks can end before the transaction does. */
export async function findBlocked(tx: Transaction, sources: readonly string[]): Promise<Set<string>> {
  if (sources.length === 0) return new Set();
  const rows = await tx<{ source: string }[]>`
    select source from blocks where source = any(${[...sources]}) order by source for update`;
  return new Set(rows.map(({ source }) => source));
}

/** @param page sources after a name, so many at most; default: all */
export async function listBlocks(
  db: Queryable,
  { after = "", limit = null }: { after?: string; limit?: number | null } = {},
): Promise<Block[]> {
  return await db<Block[]>`
    select ${columns(db)} from blocks where source > ${after} order by source limit ${limit}`;
}

/** @returns the block, when there is one that nobody has released yet */
export async function markReleased(
  tx: Transaction,
  source: string,
  { actor, reason }: { actor: string; reason: string },
): Promise<Block | undefined> {
  const [block] = await tx<Block[]>`
    update blocks
    set released_at = clock_timestamp(), released_by = ${actor}, release_reason = ${reason}
    where source = ${source} and released_at is null
    returning ${columns(tx)}`;
  return block;
}

/** Locks a block that was released, unless another copy has it; nothing can be held of its source meanwhile. */
export async function lockReleased(tx: Transaction): Promise<Block | undefined> {
  const [block] = await tx<Block[]>`
    select ${columns(tx)}
    from blocks
    where released_at is not null
    order by released_at
    limit 1
    for update skip locked`;
  return block;
}

export async function deleteBlock(tx: Transaction, source: string): Promise<void> {
  await tx`delete from blocks where source = ${source}`;
}

/** A message of a blocked source. */
export interface HeldBatch {
  source: string;
  sequence: number;
  receivedAt: Instant;
  project: string | undefined;
  clock: Instant | undefined;
  events: readonly PlatformEvent[];
}

/**
 * Holds batches of blocked sources.
 *
 * @returns the bytes that are held of all sources by now
 */
export async function insertHeld(tx: Transaction, batches: readonly HeldBatch[]): Promise<number> {
  const rows = batches.map((batch) => ({ ...batch, records: batch.events.length }));
  await tx`
    with held as (
      insert into held_batches (source, sequence, received_at, project, clock, events, records)
      select source, sequence, "receivedAt", project, clock, events, records
      from json_to_recordset(${JSON.stringify(rows)}::text::json) as r (
        source text, sequence bigint, "receivedAt" timestamptz, project text, clock timestamptz,
        events json, records integer
      )
      returning source, records, octet_length(events::text) as bytes
    )
    update blocks b
    set held = b.held + h.records, held_bytes = b.held_bytes + h.bytes
    from (select source, sum(records) as records, sum(bytes) as bytes from held group by source) as h
    where b.source = h.source`;
  const [sum] = await tx<{ bytes: number }[]>`
    select coalesce(sum(held_bytes), 0)::bigint as bytes from blocks`;
  return sum!.bytes;
}

/** Takes the batch that came first out of what is held of a source. */
export async function takeFirstHeld(tx: Transaction, source: string): Promise<HeldBatch | undefined> {
  const [row] = await tx<
    (Omit<HeldBatch, "project" | "clock"> & {
      project: string | null;
      clock: Instant | null;
      number: number;
    })[]
  >`
    with taken as (
      delete from held_batches
      where number = (
        select number from held_batches where source = ${source} order by received_at, sequence, number limit 1
      )
      returning number, source, sequence, received_at, project, clock, events, records
    ),
    counted as (
      update blocks b
      set held = b.held - t.records, held_bytes = b.held_bytes - octet_length(t.events::text)
      from taken t
      where b.source = t.source
    )
    select number, source, sequence, received_at as "receivedAt", project, clock, events from taken`;
  if (row === undefined) return undefined;
  const { number: _, project, clock, ...batch } = row;
  return { ...batch, project: project ?? undefined, clock: clock ?? undefined };
}
