/** The SQL of rejected records. @module */
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import type { Reason } from "shared/errors.ts";
import type { RefusedRecord } from "../domain/judge.ts";
import type { KeptPayload, KeptRecord } from "../domain/read_again.ts";
import { type FilePlace, type Origin, originText, type Place } from "../domain/received.ts";
import { type DayCounts, placeRow } from "./ledger.ts";

/** @returns those that were not there from an earlier attempt */
export async function insertRefused(tx: Transaction, refused: readonly RefusedRecord[]): Promise<DayCounts> {
  if (refused.length === 0) return [];
  return await tx<DayCounts>`
    with inserted as (
      insert into rejected (
        source, sequence, position, request, arrived_at, file, line, data, text, sealed, altered, reasons, headers,
        fallback_id, clock
      )
      select source, sequence, position, request, arrived_at, file, line, data, text, sealed, altered, reasons, headers,
        fallback_id, clock
      from ${rowsOf(tx, refused)}
      on conflict do nothing
      returning source, arrived_at
    )
    select source, (arrived_at at time zone 'UTC')::date as day, count(*) as records
    from inserted
    group by source, day`;
}

/** Records as a table `r`, in which `n` counts them from 1. */
function rowsOf(tx: Transaction, refused: readonly RefusedRecord[]) {
  const rows = refused.map((record) => ({ ...placeRow(record), ...payloadRow(record) }));
  return tx`
    unnest(
      ${rows.map(({ source }) => source)}::text[], ${rows.map(({ sequence }) => sequence)}::bigint[],
      ${rows.map(({ position }) => position)}::integer[], ${rows.map(({ request }) => request)}::uuid[],
      ${rows.map(({ arrived_at }) => arrived_at)}::timestamptz[],
      ${refused.map(({ file }) => file?.name ?? null)}::text[],
      ${refused.map(({ file }) => file?.line ?? null)}::bigint[],
      ${rows.map(({ data }) => data)}::text[]::json[], ${rows.map(({ text }) => text)}::text[],
      ${rows.map(({ sealed }) => sealed)}::text[], ${
    refused.map(({ altered }) => String(altered))
  }::text[]::boolean[],
      ${refused.map(({ reasons }) => JSON.stringify(reasons))}::text[]::json[],
      ${refused.map(({ headers }) => JSON.stringify(headers))}::text[]::json[],
      ${refused.map(({ fallbackId }) => fallbackId)}::text[],
      ${refused.map(({ clock }) => clock ?? null)}::timestamptz[]
    ) with ordinality as r (
      source, sequence, position, request, arrived_at, file, line, data, text, sealed, altered, reasons, headers,
      fallback_id, clock, n
    )`;
}

function payloadRow({ payload }: RefusedRecord) {
  return {
    data: "json" in payload ? JSON.stringify(payload.json) : null,
    text: "text" in payload ? payload.text : null,
    sealed: "sealed" in payload ? payload.sealed : null,
  };
}

/** Which rejected records are meant: all that hold. */
export interface RejectedFilter {
  source?: string | undefined;
  /** The file they came in. */
  file?: string | undefined;
  /** One of their reasons is about this place. */
  path?: string | undefined;
  numbers?: readonly number[] | undefined;
}

/** The filter as conditions behind another one. */
function matching(db: Queryable, { source, file, path, numbers }: RejectedFilter) {
  // Found in the text, as it is written below: reasons of old may hold escapes that PostgreSQL can't read.
  const reason = `{"path":${JSON.stringify(path)},`;
  return db`
    ${source === undefined ? db`` : db`and source = ${source}`}
    ${file === undefined ? db`` : db`and file = ${file}`}
    ${path === undefined ? db`` : db`and strpos(reasons::text, ${reason}) > 0`}
    ${numbers === undefined ? db`` : db`and number = any(${[...numbers]}::bigint[])`}`;
}

export interface RejectedRow {
  number: number;
  source: string;
  origin: string;
  file: FilePlace | null;
  receivedAt: Instant;
  payload: unknown;
  sealed: boolean;
  /** The payload is larger than may be shown: this is how its text begins. */
  cut: boolean;
  reasons: Reason[];
}

/** Rejected records, newest first. */
export async function listRejected(
  db: Queryable,
  filter: RejectedFilter,
  { before, limit, maxBytes, maxPayloadBytes, cutTo }: {
    /** Numbers below this one. */
    before: number;
    limit: number;
    /** The page ends before its payloads and reasons are larger than this; it holds one record in any case. */
    maxBytes: number;
    /** A larger payload, as JSON, is cut ... */
    maxPayloadBytes: number;
    /** ... to so many characters. */
    cutTo: number;
  },
): Promise<RejectedRow[]> {
  const rows = await db<
    (
      & PlaceColumns
      & { number: number; data: unknown; text: string | null }
      & Pick<
        RejectedRow,
        "sealed" | "cut" | "reasons"
      >
    )[]
  >`
    select number, source, sequence, position, request, arrived_at as "arrivedAt", file, line,
      sealed is not null as sealed, size > ${maxPayloadBytes} as cut,
      case when size <= ${maxPayloadBytes} then data end as data,
      case when size <= ${maxPayloadBytes} then text else left(coalesce(text, data::text), ${cutTo}) end as text,
      reasons
    from (
      select *, row_number() over (order by number desc) as place,
        sum(least(size, ${maxPayloadBytes}) + octet_length(reasons::text)) over (order by number desc) as bytes
      from (
        select number, source, sequence, position, request, arrived_at, file, line, data, text, sealed, reasons,
          coalesce(octet_length(data::text), octet_length(to_json(text)::text), 0) as size
        from rejected
        where number < ${before} ${matching(db, filter)}
        order by number desc
        limit ${limit}
      ) as page
    ) as measured
    where place = 1 or bytes <= ${maxBytes}
    order by number desc`;
  return rows.map(({ data, text, ...row }) => {
    const { source, origin, position, arrivedAt, file } = placeOf(row);
    const { number, sealed, cut, reasons } = row;
    return {
      number,
      source,
      origin: originText({ origin, position }),
      file: file ?? null,
      receivedAt: arrivedAt,
      payload: text ?? data,
      sealed,
      cut,
      reasons,
    };
  });
}

interface PlaceColumns {
  source: string;
  sequence: number | null;
  request: string | null;
  position: number;
  arrivedAt: Instant;
  file: string | null;
  line: number | null;
}

function placeOf({ source, sequence, request, position, arrivedAt, file, line }: PlaceColumns): Place {
  const origin: Origin = sequence === null ? { request: request! } : { sequence };
  return {
    source,
    origin,
    position,
    arrivedAt,
    ...(file === null || line === null ? {} : { file: { name: file, line } }),
  };
}

/** Rejected records to be judged again, oldest first. */
export async function readRejected(
  db: Queryable,
  filter: RejectedFilter,
  { after, limit, maxBytes }: {
    /** Numbers above this one. */
    after: number;
    limit: number;
    /** Of payloads, unless the first alone is larger. */
    maxBytes: number;
  },
): Promise<KeptRecord[]> {
  const rows = await db<
    (PlaceColumns & Omit<KeptRecord, keyof Place | "payload" | "fallbackId"> & {
      data: string | null;
      text: string | null;
      sealed: string | null;
      fallbackId: string | null;
    })[]
  >`
    select number, source, sequence, position, request, arrived_at as "arrivedAt", file, line, data::text as data, text,
      sealed, altered, reasons, headers, fallback_id as "fallbackId", clock
    from (
      select *, row_number() over (order by number) as place,
        sum(coalesce(octet_length(data::text), octet_length(text), octet_length(sealed), 0))
          over (order by number) as bytes
      from (
        select number, source, sequence, position, request, arrived_at, file, line, data, text, sealed, altered, reasons,
          headers, fallback_id, clock
        from rejected
        where number > ${after} ${matching(db, filter)}
        order by number
        limit ${limit}
      ) as page
    ) as measured
    where place = 1 or bytes <= ${maxBytes}
    order by number`;
  return rows.map((row) => {
    const place = placeOf(row);
    const { number, altered, reasons, headers, clock } = row;
    const fallbackId = row.fallbackId ?? originText(place);
    return { ...place, number, payload: payloadOf(row), altered, reasons, headers, fallbackId, clock };
  });
}

/** Nobody else can take them until the transaction ends. @returns whether all of them are still there */
export async function lockRejected(tx: Transaction, numbers: readonly number[]): Promise<boolean> {
  const rows = await tx`
    select from rejected where number = any(${[...numbers]}::bigint[]) order by number for update`;
  return rows.length === numbers.length;
}

function payloadOf(
  { data, text, sealed }: { data: string | null; text: string | null; sealed: string | null },
): KeptPayload {
  if (sealed !== null) return { sealed };
  return text === null ? { json: data ?? "null" } : { text };
}

/** Whether there are more of them, above one number or below one. */
export async function isMoreRejected(
  db: Queryable,
  filter: RejectedFilter,
  beyond: { after: number } | { before: number },
): Promise<boolean> {
  const condition = "after" in beyond ? db`number > ${beyond.after}` : db`number < ${beyond.before}`;
  const rows = await db`select from rejected where ${condition} ${matching(db, filter)} limit 1`;
  return rows.length > 0;
}

/** Writes what was found when they were judged again in place of what was there: of several lines, the first. */
export async function updateRejected(
  tx: Transaction,
  again: readonly { number: number; refused: RefusedRecord }[],
): Promise<void> {
  if (again.length === 0) return;
  await tx`
    update rejected
    set position = r.position, data = r.data, text = r.text, sealed = r.sealed, altered = r.altered, reasons = r.reasons,
      headers = r.headers, fallback_id = r.fallback_id
    from ${rowsOf(tx, again.map(({ refused }) => refused))}
    join unnest(${
    again.map(({ number }) => number)
  }::bigint[]) with ordinality as numbers (number, n) using (n)
    where rejected.number = numbers.number`;
}

export async function deleteRejected(tx: Transaction, numbers: readonly number[]): Promise<void> {
  if (numbers.length === 0) return;
  await tx`delete from rejected where number = any(${[...numbers]}::bigint[])`;
}
