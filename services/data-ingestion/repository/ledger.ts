/** The SQL of the ledger: duplicates and counts. @module */
import type { Instant } from "shared/contracts/time.ts";
import type { Database, Queryable, Transaction } from "shared/db/connection.ts";
import type { RepeatedEvent } from "../domain/judge.ts";
import { type Place, requestOf, sequenceOf } from "../domain/received.ts";
import type { MessageKey } from "./handled_messages.ts";

/** Records counted by source and day of arrival; several counts of one day add up. */
export type DayCounts = { source: string; day: string; records: number }[];

/** @returns those that were not there from an earlier attempt */
export async function insertRepeated(
  tx: Transaction,
  repeated: readonly RepeatedEvent[],
): Promise<DayCounts> {
  if (repeated.length === 0) return [];
  const rows = repeated.map((event) => ({ ...placeRow(event), id: event.id }));
  return await tx<DayCounts>`
    with inserted as (
      insert into duplicates (source, id, sequence, position, request, arrived_at)
      select source, id, sequence, position, request, arrived_at
      from json_to_recordset(${JSON.stringify(rows)}::text::json) as r (
        source text, id text, sequence bigint, position integer, request uuid, arrived_at timestamptz
      )
      on conflict do nothing
      returning source, arrived_at
    )
    select source, (arrived_at at time zone 'UTC')::date as day, count(*) as records
    from inserted
    group by source, day`;
}

/** A place as columns. */
export function placeRow(place: Place) {
  return {
    source: place.source,
    sequence: sequenceOf(place),
    position: place.position,
    request: requestOf(place),
    arrived_at: place.arrivedAt,
  };
}

/** What is added to the counts of a day; numbers below zero take back. */
export interface LedgerEntry {
  source: string;
  /** Of arrival, UTC: `2011-05-02`. */
  day: string;
  /** Records, counted when their message was read. */
  received: number;
  stored: number;
  rejected: number;
  duplicates: number;
  /** Messages. */
  deadLettered: number;
}

export function countByDay(records: readonly Pick<Place, "source" | "arrivedAt">[]): DayCounts {
  const counts = new Map<string, DayCounts[number]>();
  for (const { source, arrivedAt } of records) {
    const day = arrivedAt.slice(0, "2011-05-02".length);
    const key = `${source} ${day}`;
    const counted = counts.get(key);
    if (counted === undefined) counts.set(key, { source, day, records: 1 });
    else counted.records++;
  }
  return [...counts.values()];
}

type Column = keyof Omit<LedgerEntry, "source" | "day">;

/** One entry a source and day. */
export function ledgerEntries(counts: Partial<Record<Column, DayCounts>>): LedgerEntry[] {
  const entries = new Map<string, LedgerEntry>();
  for (const column of Object.keys(counts) as Column[]) {
    for (const { source, day, records } of counts[column] ?? []) {
      const key = `${source} ${day}`;
      const nothing = { source, day, received: 0, stored: 0, rejected: 0, duplicates: 0, deadLettered: 0 };
      const entry = entries.get(key) ?? nothing;
      entry[column] += records;
      entries.set(key, entry);
    }
  }
  return [...entries.values()];
}

export async function addToLedger(tx: Transaction, entries: readonly LedgerEntry[]): Promise<void> {
  if (entries.length === 0) return;
  // In one order for all copies, so that they wait for each other instead of dying in a deadlock.
  const rows = entries.toSorted((a, b) => `${a.source} ${a.day}` < `${b.source} ${b.day}` ? -1 : 1);
  await tx`
    insert into ledger as l (source, day, received, stored, rejected, duplicates, dead_lettered)
    select source, day, received, stored, rejected, duplicates, "deadLettered"
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as r (
      source text, day date, received bigint, stored bigint, rejected bigint, duplicates bigint,
      "deadLettered" bigint
    )
    on conflict (source, day) do update
    set received = l.received + excluded.received,
        stored = l.stored + excluded.stored,
        rejected = l.rejected + excluded.rejected,
        duplicates = l.duplicates + excluded.duplicates,
        dead_lettered = l.dead_lettered + excluded.dead_lettered`;
}

/** Remembers messages that are moved to DEADLETTER, each once. @returns those that were not there yet */
export async function insertDeadLetters(
  tx: Transaction,
  messages: readonly MessageKey[],
): Promise<DayCounts> {
  return await tx<DayCounts>`
    with inserted as (
      insert into dead_letters (sequence, arrived_at, source)
      select sequence, "arrivedAt", source
      from json_to_recordset(${JSON.stringify(messages)}::text::json)
        as r (sequence bigint, "arrivedAt" timestamptz, source text)
      on conflict do nothing
      returning source, arrived_at
    )
    select source, (arrived_at at time zone 'UTC')::date as day, count(*) as records
    from inserted
    group by source, day`;
}

/** Forgets that these messages were to be moved to DEADLETTER. @returns those that were */
export async function deleteDeadLetters(
  tx: Transaction,
  messages: readonly MessageKey[],
): Promise<DayCounts> {
  return await tx<DayCounts>`
    with deleted as (
      delete from dead_letters d
      using json_to_recordset(${JSON.stringify(messages)}::text::json)
        as r (sequence bigint, "arrivedAt" timestamptz)
      where d.sequence = r.sequence and d.arrived_at = r."arrivedAt"
      returning d.source, d.arrived_at
    )
    select source, (arrived_at at time zone 'UTC')::date as day, count(*) as records
    from deleted
    group by source, day`;
}

/** What the database knows of the ledger, at one moment. */
export interface LedgerSnapshot {
  entries: LedgerEntry[];
  /** Messages of a span of EVENTS that are dealt with, by source and day of arrival. */
  handled: DayCounts;
}

/** Which counts are meant. */
export interface LedgerFilter {
  /** Null: all. */
  source: string | null;
  /** Days of arrival, both included. */
  from: string;
  to: string;
}

/** @param span sequences of EVENTS, both ends included, and since when that stream has been there */
export function readLedger(
  db: Database,
  { source, from, to }: LedgerFilter,
  span: { first: number; last: number; since: Instant },
): Promise<LedgerSnapshot> {
  return db.begin("isolation level repeatable read read only", async (tx) => ({
    entries: await tx<LedgerEntry[]>`
      select source, day, received, stored, rejected, duplicates, dead_lettered as "deadLettered"
      from ledger
      where (${source}::text is null or source = ${source}) and day between ${from} and ${to}
      order by source, day`,
    handled: span.last < span.first ? [] : await countHandled(tx, span),
  })) as Promise<LedgerSnapshot>;
}

async function countHandled(
  db: Queryable,
  { first, last, since }: { first: number; last: number; since: Instant },
): Promise<DayCounts> {
  const inSpan = db`sequence between ${first} and ${last} and arrived_at >= ${since}`;
  return await db<DayCounts>`
    select source, (arrived_at at time zone 'UTC')::date as day, count(*) as records
    from (
      select source, sequence, arrived_at from events where ${inSpan}
      union
      select source, sequence, arrived_at from rejected where ${inSpan}
      union
      select source, sequence, arrived_at from duplicates where ${inSpan}
      union
      select source, sequence, arrived_at from dead_letters where ${inSpan}
    ) as messages
    group by source, day`;
}
