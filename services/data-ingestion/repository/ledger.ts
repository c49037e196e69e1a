/** The SQL of the ledger: rejects, duplicates and counts. @module */
import type { LedgerRow } from "shared/contracts/data_ingestion.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Database, Queryable, Transaction } from "shared/db/connection.ts";
import type { Reason } from "shared/errors.ts";
import type { RefusedRecord, RepeatedEvent } from "../domain/judge.ts";
import { originText, type Place, requestOf, sequenceOf } from "../domain/received.ts";

/** Records counted by source and day of arrival. */
export type DayCounts = { source: string; day: string }[];

/** @returns those that were not there from an earlier attempt */
export async function insertRefused(tx: Transaction, refused: readonly RefusedRecord[]): Promise<DayCounts> {
  if (refused.length === 0) return [];
  const rows = refused.map((record) => ({
    ...placeRow(record),
    data: "json" in record.payload ? record.payload.json : null,
    text: "text" in record.payload ? record.payload.text : null,
    reasons: record.reasons,
  }));
  return await tx<DayCounts>`
    insert into rejected (source, sequence, position, request, arrived_at, data, text, reasons)
    select source, sequence, position, request, arrived_at, data, text, reasons
    from unnest(
      ${rows.map(({ source }) => source)}::text[], ${rows.map(({ sequence }) => sequence)}::bigint[],
      ${rows.map(({ position }) => position)}::integer[], ${rows.map(({ request }) => request)}::uuid[],
      ${rows.map(({ arrived_at }) => arrived_at)}::timestamptz[],
      ${rows.map(({ data, text }) => text === null ? JSON.stringify(data) : null)}::text[]::json[],
      ${rows.map(({ text }) => text)}::text[],
      ${rows.map(({ reasons }) => JSON.stringify(reasons))}::text[]::json[]
    ) as r (source, sequence, position, request, arrived_at, data, text, reasons)
    on conflict (sequence, arrived_at, position) do nothing
    returning source, (arrived_at at time zone 'UTC')::date as day`;
}

/** @returns those that were not there from an earlier attempt */
export async function insertRepeated(
  tx: Transaction,
  repeated: readonly RepeatedEvent[],
): Promise<DayCounts> {
  if (repeated.length === 0) return [];
  const rows = repeated.map((event) => ({ ...placeRow(event), id: event.id }));
  return await tx<DayCounts>`
    insert into duplicates (source, id, sequence, position, request, arrived_at)
    select source, id, sequence, position, request, arrived_at
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as r (
      source text, id text, sequence bigint, position integer, request uuid, arrived_at timestamptz
    )
    on conflict (sequence, arrived_at, position) do nothing
    returning source, (arrived_at at time zone 'UTC')::date as day`;
}

function placeRow(place: Place) {
  return {
    source: place.source,
    sequence: sequenceOf(place),
    position: place.position,
    request: requestOf(place),
    arrived_at: place.arrivedAt,
  };
}

/** What a batch adds to the ledger. */
export interface LedgerEntry {
  source: string;
  day: string;
  stored: number;
  rejected: number;
  duplicates: number;
}

export async function addToLedger(tx: Transaction, entries: readonly LedgerEntry[]): Promise<void> {
  if (entries.length === 0) return;
  // In one order for all copies, so that they wait for each other instead of dying in a deadlock.
  const rows = entries.toSorted((a, b) => `${a.source} ${a.day}` < `${b.source} ${b.day}` ? -1 : 1);
  await tx`
    insert into ledger as l (source, day, stored, rejected, duplicates)
    select source, day, stored, rejected, duplicates
    from json_to_recordset(${JSON.stringify(rows)}::text::json)
      as r (source text, day date, stored bigint, rejected bigint, duplicates bigint)
    on conflict (source, day) do update
    set stored = l.stored + excluded.stored,
        rejected = l.rejected + excluded.rejected,
        duplicates = l.duplicates + excluded.duplicates`;
}

/** What the database knows of the ledger, at one moment. */
export interface LedgerSnapshot {
  sums: Pick<LedgerRow, "source" | "stored" | "rejected" | "duplicates">[];
  /** Messages of a span of EVENTS that are dealt with, by source. */
  handled: Map<string, number>;
}

/** @param span sequences of EVENTS, both ends included, and since when that stream has been there */
export function readLedger(
  db: Database,
  span: { first: number; last: number; since: Instant },
): Promise<LedgerSnapshot> {
  return db.begin("isolation level repeatable read read only", async (tx) => {
    const sums = await tx<LedgerSnapshot["sums"]>`
      select source, sum(stored)::bigint as stored, sum(rejected)::bigint as rejected,
        sum(duplicates)::bigint as duplicates
      from ledger
      group by source
      order by source`;
    const handled = span.last < span.first ? [] : await tx<{ source: string; messages: number }[]>`
      select source, count(*) as messages
      from (
        select source, sequence from events
        where sequence between ${span.first} and ${span.last} and arrived_at >= ${span.since}
        union
        select source, sequence from rejected
        where sequence between ${span.first} and ${span.last} and arrived_at >= ${span.since}
        union
        select source, sequence from duplicates
        where sequence between ${span.first} and ${span.last} and arrived_at >= ${span.since}
      ) as messages
      group by source`;
    return { sums: [...sums], handled: new Map(handled.map(({ source, messages }) => [source, messages])) };
  }) as Promise<LedgerSnapshot>;
}

export interface RejectedRow {
  number: number;
  source: string;
  origin: string;
  receivedAt: Instant;
  payload: unknown;
  reasons: Reason[];
}

/** Rejected records, newest first. */
export async function listRejected(
  db: Queryable,
  { source, before, limit, maxBytes }: {
    source: string | undefined;
    /** Numbers below this one. */
    before: number;
    limit: number;
    /** The page ends before its payloads and reasons are larger than this; it holds one record in any case. */
    maxBytes: number;
  },
): Promise<RejectedRow[]> {
  const rows = await db<
    (Place & {
      number: number;
      sequence: number | null;
      request: string | null;
      data: unknown;
      text: string | null;
      reasons: Reason[];
    })[]
  >`
    select number, source, sequence, position, request, arrived_at as "arrivedAt", data, text, reasons
    from (
      select *, sum(octet_length(coalesce(data::text, text)) + octet_length(reasons::text)) over (order by number desc) as bytes,
        row_number() over (order by number desc) as place
      from (
        select number, source, sequence, position, request, arrived_at, data, text, reasons
        from rejected
        where number < ${before} and (${source ?? null}::text is null or source = ${source ?? null})
        order by number desc
        limit ${limit}
      ) as page
    ) as measured
    where place = 1 or bytes <= ${maxBytes}
    order by number desc`;
  return rows.map(({ number, source, position, sequence, request, arrivedAt, data, text, reasons }) => ({
    number,
    source,
    origin: originText({
      origin: sequence === null ? { request: request ?? "" } : { sequence },
      position,
    }),
    receivedAt: arrivedAt,
    payload: text ?? data,
    reasons,
  }));
}
