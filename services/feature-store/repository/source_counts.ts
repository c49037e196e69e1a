/** The SQL of the ledger: what came of every clean event. @module */
import type { z } from "zod";
import type { countsRowSchema } from "shared/contracts/feature_store.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Database, Transaction } from "shared/db/connection.ts";

export type SourceCounts = z.infer<typeof countsRowSchema>;

export interface MessageReceipt {
  /** Position in the CLEAN stream. */
  sequence: number;
  receivedAt: Instant;
}

/** How long a message that is counted is remembered; a redelivery comes within minutes of a restart. */
const REMEMBERED = "1 day";

/** Marks messages as counted. @returns the positions of those that were not yet */
export async function markCounted(
  tx: Transaction,
  messages: readonly MessageReceipt[],
): Promise<Set<number>> {
  const rows = await tx<{ sequence: number }[]>`
    insert into counted_messages (sequence, received_at)
    select * from unnest(
      ${messages.map(({ sequence }) => sequence)}::bigint[],
      ${messages.map(({ receivedAt }) => receivedAt)}::timestamptz[]
    )
    on conflict do nothing returning sequence`;
  return new Set(rows.map(({ sequence }) => sequence));
}

/** Forgets a few messages that were counted long ago: more than are added. */
export async function forgetCounted(tx: Transaction, atMost: number): Promise<void> {
  await tx`
    delete from counted_messages where ctid = any(array(
      select ctid from counted_messages where counted_at < now() - ${REMEMBERED}::interval
      limit ${atMost} for update skip locked
    ))`;
}

export async function addCounts(tx: Transaction, counts: readonly SourceCounts[]): Promise<void> {
  if (counts.length === 0) return;
  // In the order of the names: copies that count at once lock the rows in one order.
  const rows = counts.toSorted((a, b) => a.source < b.source ? -1 : 1);
  await tx`
    insert into source_counts as counted (source, received, records, unused, duplicates, refused)
    select source, received, records, unused, duplicates, refused
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as added(
      source text, received bigint, records bigint, unused bigint, duplicates bigint, refused bigint
    )
    on conflict (source) do update set
      received = counted.received + excluded.received,
      records = counted.records + excluded.records,
      unused = counted.unused + excluded.unused,
      duplicates = counted.duplicates + excluded.duplicates,
      refused = counted.refused + excluded.refused`;
}

/** By source. */
export async function readCounts(db: Database): Promise<SourceCounts[]> {
  const rows = await db<SourceCounts[]>`
    select source, received, records, unused, duplicates, refused from source_counts order by source`;
  return [...rows];
}
