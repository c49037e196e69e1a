/** The use case of telling what came of every record: the database's counts with the stream's own. @module */
import type { ledger, LedgerRow } from "shared/contracts/data_ingestion.ts";
import type { ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import type { Bus } from "shared/bus/connection.ts";
import type { Incoming } from "shared/bus/message.ts";
import { type Database, transaction } from "shared/db/connection.ts";
import { countWaiting, type WaitingMessages } from "./pending.ts";
import {
  addToLedger,
  type DayCounts,
  insertDeadLetters,
  ledgerEntries,
  type LedgerEntry,
  readLedger,
} from "./repository/ledger.ts";

/**
 * The ledger by source, or by source and day of arrival, sorted, a page at a time.
 *
 * A message is pending when it is in EVENTS and the database holds nothing of it. The messages behind the
 * consumer's acknowledgement floor are counted first, then those of them that the database knows, at the moment
 * of its counts: a message that is stored but not acknowledged yet is never counted twice, and one that arrives
 * meanwhile shows in the next call.
 */
export async function ledgerPage(
  { db, bus }: { db: Database; bus: Bus },
  { source, by, from = "0001-01-01", to = "9999-12-31", limit, after = "" }: RequestOf<typeof ledger>,
): Promise<ReplyOf<typeof ledger>> {
  const { messages, span } = await countWaiting(bus, source);
  const { entries, handled } = await readLedger(db, { source: source ?? null, from, to }, span);
  const pending = stillWaiting(messages, handled).filter(({ day }) => day >= from && day <= to);
  const rows = sumsBy(by, entries, pending).filter(({ mark }) => mark > after);
  const page = rows.slice(0, limit);
  return {
    sources: page.map(({ row }) => row),
    next: rows.length > limit ? page.at(-1)!.mark : null,
  };
}

function stillWaiting(messages: readonly WaitingMessages[], handled: DayCounts): WaitingMessages[] {
  const known = new Map(handled.map(({ source, day, records }) => [`${source} ${day}`, records]));
  return messages
    .map((waiting) => ({
      ...waiting,
      records: waiting.records - (known.get(`${waiting.source} ${waiting.day}`) ?? 0),
    }))
    .filter(({ records }) => records > 0);
}

type Sums = Omit<LedgerEntry, "day"> & { day?: string; pending: number };

function sumsBy(
  by: "source" | "day",
  entries: readonly LedgerEntry[],
  pending: readonly WaitingMessages[],
): { mark: string; row: LedgerRow }[] {
  const sums = new Map<string, Sums>();
  const sumOf = ({ source, day }: { source: string; day: string }): Sums => {
    const key = by === "day" ? `${source} ${day}` : source;
    const counts = { received: 0, pending: 0, stored: 0, rejected: 0, duplicates: 0, deadLettered: 0 };
    const sum = sums.get(key) ?? { source, ...(by === "day" ? { day } : {}), ...counts };
    sums.set(key, sum);
    return sum;
  };
  for (const entry of entries) {
    const sum = sumOf(entry);
    for (const column of ["received", "stored", "rejected", "duplicates", "deadLettered"] as const) {
      sum[column] += entry[column];
    }
  }
  for (const waiting of pending) sumOf(waiting).pending += waiting.records;
  return [...sums].toSorted(([a], [b]) => a < b ? -1 : 1).map(([mark, sum]) => ({ mark, row: rowOf(sum) }));
}

/** Nobody has read a message that is pending or was dead-lettered: it counts as one record on both sides. */
function rowOf({ received, ...sum }: Sums): LedgerRow {
  const { pending, stored, rejected, duplicates, deadLettered } = sum;
  const accepted = received + pending + deadLettered;
  return {
    ...sum,
    accepted,
    balanced: accepted === pending + stored + rejected + duplicates + deadLettered,
  };
}

/** Counts messages that are about to be moved to DEADLETTER. May be repeated. */
export async function countDeadLetters(
  { db, sourceOf }: { db: Database; sourceOf: (message: Incoming) => string },
  messages: readonly Incoming[],
): Promise<void> {
  const keys = messages.map((message) => ({
    source: sourceOf(message),
    sequence: message.sequence,
    arrivedAt: message.receivedAt,
  }));
  await transaction(db, async (tx) => {
    const deadLettered = await insertDeadLetters(tx, keys);
    await addToLedger(tx, ledgerEntries({ deadLettered }));
  });
}
