/** The SQL of data-preprocessing: the guard, the quarantine and the counts. @module */
import type { CleaningCounts } from "shared/contracts/data_preprocessing.ts";
import type { DataRecord, PlatformEvent } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import type { Reason } from "shared/errors.ts";

/** A message of INGESTED by what names it for good: a stream that is made anew counts from 1 again. */
export interface MessageKey {
  sequence: number;
  receivedAt: Instant;
}

/**
 * Claims messages for this transaction: no other one can deal with them, now or later.
 *
 * @param messages with the version of the cleaning that is to deal with each; null: none
 * @returns the sequences of those that were free
 */
export async function claimMessages(
  tx: Transaction,
  messages: readonly (MessageKey & { cleaning: number | null })[],
): Promise<Set<number>> {
  const rows = await tx<{ sequence: number }[]>`
    insert into handled_messages (sequence, received_at, cleaning)
    select sequence, "receivedAt", cleaning
    from json_to_recordset(${JSON.stringify(messages)}::text::json)
      as r (sequence bigint, "receivedAt" timestamptz, cleaning integer)
    order by sequence
    on conflict do nothing
    returning sequence`;
  return new Set(rows.map(({ sequence }) => sequence));
}

/** The version of the cleaning that dealt with each of these messages, by sequence. */
export async function readHandled(
  db: Queryable,
  messages: readonly MessageKey[],
): Promise<Map<number, number | null>> {
  if (messages.length === 0) return new Map();
  const rows = await db<{ sequence: number; cleaning: number | null }[]>`
    select h.sequence, h.cleaning
    from json_to_recordset(${JSON.stringify(messages)}::text::json)
      as r (sequence bigint, "receivedAt" timestamptz)
    join handled_messages h on h.sequence = r.sequence and h.received_at = r."receivedAt"`;
  return new Map(rows.map(({ sequence, cleaning }) => [sequence, cleaning]));
}

/** No message comes again so late: what was acknowledged is gone from the stream. A few at a time. */
export async function forgetOldMessages(tx: Transaction): Promise<void> {
  await tx`
    delete from handled_messages
    where ctid = any(array(
      select ctid from handled_messages
      where handled_at < now() - interval '30 days'
      limit 1000
      for update skip locked
    ))`;
}

/** An event with the message that brought it. */
export interface Brought {
  event: PlatformEvent;
  sequence: number;
}

const ROWS_PER_STATEMENT = 5_000;

/**
 * Writes events into the guard.
 *
 * @param brought no two with the same key
 * @returns the positions in `brought` of those that were in the guard before
 */
export async function guard(tx: Transaction, brought: readonly Brought[]): Promise<Set<number>> {
  const before = new Set<number>();
  for (let first = 0; first < brought.length; first += ROWS_PER_STATEMENT) {
    const rows = keyRows(brought.slice(first, first + ROWS_PER_STATEMENT), first);
    const taken = await tx<{ n: number }[]>`
      with batch as materialized (
        select *
        from json_to_recordset(${JSON.stringify(rows)}::text::json)
          as r (n integer, source text, id text, definition integer, run text, sequence bigint)
      ),
      fresh as (
        insert into seen_events (source, id, definition, run, sequence)
        select source, id, definition, run, sequence from batch
        on conflict do nothing
        returning source, id, definition, run
      )
      select n from batch left join fresh using (source, id, definition, run) where fresh.id is null`;
    for (const { n } of taken) before.add(n);
  }
  return before;
}

/** The positions in `brought` of the events that came first by the message named with them. */
export async function findFirstBrought(db: Queryable, brought: readonly Brought[]): Promise<Set<number>> {
  const first = new Set<number>();
  for (let start = 0; start < brought.length; start += ROWS_PER_STATEMENT) {
    const rows = keyRows(brought.slice(start, start + ROWS_PER_STATEMENT), start);
    const found = await db<{ n: number }[]>`
      select r.n
      from json_to_recordset(${JSON.stringify(rows)}::text::json)
        as r (n integer, source text, id text, definition integer, run text, sequence bigint)
      join seen_events s using (source, id, definition, run)
      where s.sequence = r.sequence`;
    for (const { n } of found) first.add(n);
  }
  return first;
}

function keyRows(brought: readonly Brought[], first: number) {
  return brought.map(({ event: { source, id, definition, run = "" }, sequence }, index) => ({
    n: first + index,
    source,
    id,
    definition,
    run,
    sequence,
  }));
}

export interface QuarantinedEvent {
  event: PlatformEvent;
  cleaning: number;
  reasons: readonly Reason[];
}

export async function insertQuarantined(tx: Transaction, events: readonly QuarantinedEvent[]): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map(({ event, cleaning, reasons }) => ({
    source: event.source,
    id: event.id,
    definition: event.definition,
    run: event.run ?? "",
    cleaning,
    event_time: event.time,
    known_at: event.knownat,
    data: event.data,
    reasons,
  }));
  await tx`
    insert into quarantined (source, id, definition, run, cleaning, event_time, known_at, data, reasons)
    select source, id, definition, run, cleaning, event_time, known_at, data, reasons
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as r (
      source text, id text, definition integer, run text, cleaning integer,
      event_time timestamptz, known_at timestamptz, data json, reasons json
    )
    on conflict do nothing`;
}

/** What a batch adds to the counts of a source on a day. */
export interface CountsEntry {
  source: string;
  day: string;
  clean: number;
  filtered: number;
  quarantined: number;
  duplicates: number;
  warned: number;
  /** Filtered records by reason. */
  reasons: Map<string, number>;
}

export async function addToCounts(tx: Transaction, entries: readonly CountsEntry[]): Promise<void> {
  if (entries.length === 0) return;
  // In one order for all copies, so that they wait for each other instead of dying in a deadlock.
  const ordered = entries.toSorted((a, b) => `${a.source} ${a.day}` < `${b.source} ${b.day}` ? -1 : 1);
  await tx`
    insert into counts as c (source, day, clean, filtered, quarantined, duplicates, warned)
    select source, day, clean, filtered, quarantined, duplicates, warned
    from json_to_recordset(${JSON.stringify(ordered)}::text::json) as r (
      source text, day date, clean bigint, filtered bigint, quarantined bigint, duplicates bigint, warned bigint
    )
    on conflict (source, day) do update
    set clean = c.clean + excluded.clean,
        filtered = c.filtered + excluded.filtered,
        quarantined = c.quarantined + excluded.quarantined,
        duplicates = c.duplicates + excluded.duplicates,
        warned = c.warned + excluded.warned`;
  const byReason = ordered.flatMap(({ source, day, reasons }) =>
    [...reasons].toSorted().map(([reason, records]) => ({ source, day, reason, records }))
  );
  if (byReason.length === 0) return;
  await tx`
    insert into filtered_counts as f (source, day, reason, records)
    select source, day, reason, records
    from json_to_recordset(${JSON.stringify(byReason)}::text::json)
      as r (source text, day date, reason text, records bigint)
    on conflict (source, day, reason) do update set records = f.records + excluded.records`;
}

export async function readCounts(db: Queryable, source: string | undefined): Promise<CleaningCounts[]> {
  return await db<CleaningCounts[]>`
    select source,
      sum(clean + filtered + quarantined + duplicates)::bigint as received,
      sum(clean)::bigint as clean, sum(filtered)::bigint as filtered,
      sum(quarantined)::bigint as quarantined, sum(duplicates)::bigint as duplicates,
      sum(warned)::bigint as warned,
      coalesce(
        (
          select json_object_agg(reason, records order by reason)
          from (
            select reason, sum(records) as records
            from filtered_counts f
            where f.source = counts.source
            group by reason
          ) as sums
        ),
        '{}'
      ) as "filteredBy"
    from counts
    where ${source ?? null}::text is null or source = ${source ?? null}
    group by source
    order by source`;
}

export interface QuarantinedRow {
  number: number;
  source: string;
  id: string;
  time: Instant;
  data: DataRecord;
  reasons: Reason[];
}

/** Quarantined records, newest first. */
export async function listQuarantined(
  db: Queryable,
  { source, before, limit, maxBytes }: {
    source: string | undefined;
    /** Numbers below this one. */
    before: number;
    limit: number;
    /** The page ends before its records and reasons are larger than this; it holds one in any case. */
    maxBytes: number;
  },
): Promise<QuarantinedRow[]> {
  return await db<QuarantinedRow[]>`
    select number, source, id, event_time as time, data, reasons
    from (
      select *, sum(octet_length(data::text) + octet_length(reasons::text)) over (order by number desc) as bytes,
        row_number() over (order by number desc) as place
      from (
        select number, source, id, event_time, data, reasons
        from quarantined
        where number < ${before} and (${source ?? null}::text is null or source = ${source ?? null})
        order by number desc
        limit ${limit}
      ) as page
    ) as measured
    where place = 1 or bytes <= ${maxBytes}
    order by number desc`;
}
