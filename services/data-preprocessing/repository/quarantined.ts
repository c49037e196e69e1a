/** The SQL of the quarantine. @module */
import type { DataRecord, PlatformEvent } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import type { Reason } from "shared/errors.ts";

export interface QuarantinedEvent {
  event: PlatformEvent;
  /** Empty: the live flow. */
  run: string;
  project: string | undefined;
  /** The day that counts it. */
  day: string;
  cleaning: number;
  /** What of an exploded record went no further, such as `#0`; null: all of it. */
  items: readonly string[] | null;
  reasons: readonly Reason[];
}

export async function insertQuarantined(tx: Transaction, events: readonly QuarantinedEvent[]): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map(({ event, run, project, day, cleaning, items, reasons }) => {
    const { source, id, definition, time, knownat, data, subject, actor, traceparent } = event;
    const envelope = { subject, actor, traceparent };
    return {
      ...{ source, id, definition, run, project, day, cleaning, time, knownat, data, envelope, reasons },
      items,
    };
  });
  await tx`
    insert into quarantined (
      source, id, definition, run, project, day, cleaning, event_time, known_at, data, envelope, reasons, items
    )
    select source, id, definition, run, project, day, cleaning, "time", knownat, data, envelope, reasons, items
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as r (
      source text, id text, definition integer, run text, project text, day date, cleaning integer,
      "time" timestamptz, knownat timestamptz, data json, envelope json, reasons json, items text[]
    )
    on conflict do nothing`;
}

/** A part of the quarantine. */
export interface QuarantineFilter {
  source?: string | undefined;
  /** A place, as a JSON Pointer, that one of the reasons is about. */
  path?: string | undefined;
  /** Empty: the live flow. Default: that and all replays. */
  run?: string | undefined;
  numbers?: readonly number[] | undefined;
}

function matches(db: Queryable, { source, path, run, numbers }: QuarantineFilter) {
  return db`
    ${source === undefined ? db`` : db`and source = ${source}`}
    ${run === undefined ? db`` : db`and run = ${run}`}
    ${path === undefined ? db`` : db`and reasons::jsonb @> ${JSON.stringify([{ path }])}::text::jsonb`}
    ${numbers === undefined ? db`` : db`and number = any(${[...numbers]}::bigint[])`}`;
}

export interface QuarantinedRow {
  number: number;
  source: string;
  id: string;
  time: Instant;
  /** Null: the live flow. */
  run: string | null;
  data: DataRecord;
  reasons: Reason[];
}

/** Quarantined records, newest first. */
export async function listQuarantined(
  db: Queryable,
  filter: QuarantineFilter,
  { before, limit, maxBytes }: {
    /** Numbers below this one. */
    before: number;
    limit: number;
    /** The page ends before its records and reasons are larger than this; it holds one in any case. */
    maxBytes: number;
  },
): Promise<QuarantinedRow[]> {
  return await db<QuarantinedRow[]>`
    select number, source, id, event_time as time, nullif(run, '') as run, data, reasons
    from (
      select *, sum(octet_length(data::text) + octet_length(reasons::text)) over (order by number desc) as bytes,
        row_number() over (order by number desc) as place
      from (
        select number, source, id, event_time, run, data, reasons
        from quarantined
        where number < ${before} ${matches(db, filter)}
        order by number desc
        limit ${limit}
      ) as page
    ) as measured
    where place = 1 or bytes <= ${maxBytes}
    order by number desc`;
}

/** A quarantined record of the live flow, to be cleaned again. */
export interface HeldBackRecord {
  number: number;
  event: PlatformEvent;
  project: string | null;
  day: string;
  items: string[] | null;
}

interface HeldBackRow extends Omit<HeldBackRecord, "event"> {
  source: string;
  id: string;
  definition: number;
  time: Instant;
  knownat: Instant;
  data: DataRecord;
  envelope: Pick<PlatformEvent, "subject" | "actor" | "traceparent">;
}

/** Locks records of the live flow for this transaction, oldest first. */
export async function lockQuarantined(
  tx: Transaction,
  filter: Omit<QuarantineFilter, "run">,
  { after, limit, maxBytes }: {
    /** Numbers above this one. */
    after: number;
    limit: number;
    /** As of {@link listQuarantined}. */
    maxBytes: number;
  },
): Promise<HeldBackRecord[]> {
  const rows = await tx<HeldBackRow[]>`
    select q.number, q.source, q.id, q.definition, q.project, q.day, q.items, q.envelope, q.data,
      q.event_time as time, q.known_at as knownat
    from (
      select number, sum(octet_length(data::text)) over (order by number) as bytes,
        row_number() over (order by number) as place
      from (
        select number, data
        from quarantined
        where number > ${after} ${matches(tx, { ...filter, run: "" })}
        order by number
        limit ${limit}
      ) as page
    ) as measured
    join quarantined q using (number)
    where place = 1 or bytes <= ${maxBytes}
    order by q.number
    for update of q`;
  return rows.map((
    { number, project, day, items, source, id, definition, time, knownat, data, envelope },
  ) => ({
    number,
    project,
    day,
    items,
    event: { specversion: "1.0", id, source, type: "", time, knownat, definition, ...envelope, data },
  }));
}

export async function deleteQuarantined(tx: Transaction, numbers: readonly number[]): Promise<void> {
  if (numbers.length > 0) await tx`delete from quarantined where number = any(${[...numbers]}::bigint[])`;
}

/** What still is wrong with a record after it was cleaned again. */
export interface StillQuarantined {
  number: number;
  cleaning: number;
  data: DataRecord;
  items: readonly string[] | null;
  reasons: readonly Reason[];
}

export async function updateQuarantined(
  tx: Transaction,
  records: readonly StillQuarantined[],
): Promise<void> {
  if (records.length === 0) return;
  await tx`
    update quarantined q
    set cleaning = r.cleaning, data = r.data, items = r.items, reasons = r.reasons
    from json_to_recordset(${JSON.stringify(records)}::text::json)
      as r (number bigint, cleaning integer, data json, items text[], reasons json)
    where q.number = r.number`;
}
