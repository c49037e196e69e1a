/** The SQL of profiles: parts, the windows they are merged into, and the clocks that end windows. @module */
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import type { Anomaly } from "../domain/windows/anomalies.ts";

/** A window by what names it. */
export interface WindowKey {
  source: string;
  windowMs: number;
  startsAt: Instant;
}

/** What a batch says about a window. */
export interface Part extends WindowKey {
  project: string | null;
  records: number;
  newestAt: Instant;
  /** Of the values; null where only the number of records matters. */
  statistics: Uint8Array | null;
}

/** PostgreSQL takes 65,535 parameters a statement. */
const ROWS_PER_STATEMENT = 1_000;

export async function appendParts(tx: Transaction, parts: readonly Part[]): Promise<void> {
  for (let start = 0; start < parts.length; start += ROWS_PER_STATEMENT) {
    const rows = parts.slice(start, start + ROWS_PER_STATEMENT).map((part) => ({
      source: part.source,
      project: part.project,
      window_ms: part.windowMs,
      starts_at: part.startsAt,
      records: part.records,
      newest_at: part.newestAt,
      statistics: part.statistics,
    }));
    await tx`insert into profile_parts ${tx(rows)}`;
  }
}

export async function appendClockMarks(tx: Transaction, clocks: ReadonlyMap<string, Instant>): Promise<void> {
  if (clocks.size === 0) return;
  await tx`insert into clock_marks ${tx([...clocks].map(([project, clock]) => ({ project, clock })))}`;
}

/** Of the advisory lock under which windows are merged and judged. */
const PROFILES_LOCK = 0x7072_6f66;

/** For this transaction. @returns whether it was free; if not, another copy is at work */
export async function lockProfiles(tx: Transaction): Promise<boolean> {
  const [lock] = await tx<{ taken: boolean }[]>`select pg_try_advisory_xact_lock(${PROFILES_LOCK}) as taken`;
  return lock!.taken;
}

/** Takes the oldest parts out, at most so many. */
export async function takeParts(tx: Transaction, limit: number): Promise<Part[]> {
  return await tx<Part[]>`
    delete from profile_parts
    where number in (select number from profile_parts order by number limit ${limit})
    returning source, project, window_ms as "windowMs", starts_at as "startsAt", records,
      newest_at as "newestAt", statistics`;
}

export interface ClockMark {
  number: number;
  project: string;
  clock: Instant;
}

export async function listClockMarks(db: Queryable): Promise<ClockMark[]> {
  return await db<ClockMark[]>`select number, project, clock from clock_marks order by number limit 10000`;
}

/** Moves the clocks of projects on, never back. */
export async function mergeClockMarks(tx: Transaction, marks: readonly ClockMark[]): Promise<void> {
  await tx`
    with taken as (
      delete from clock_marks where number = any(${
    marks.map(({ number }) => number)
  }) returning project, clock
    )
    insert into project_clocks as c (project, clock)
    select project, max(clock) from taken group by project
    on conflict (project) do update set clock = greatest(c.clock, excluded.clock)`;
}

export interface WindowRow {
  startsAt: Instant;
  records: number;
  statistics: Uint8Array | null;
}

/** The windows with these keys that are there. */
export async function readWindows(
  tx: Transaction,
  keys: readonly WindowKey[],
): Promise<(WindowKey & WindowRow)[]> {
  return await tx<(WindowKey & WindowRow)[]>`
    select w.source, w.window_ms as "windowMs", w.starts_at as "startsAt", w.records, w.statistics
    from json_to_recordset(${JSON.stringify(keys)}::text::json)
      as k (source text, "windowMs" bigint, "startsAt" timestamptz)
    join profile_windows w
      on w.source = k.source and w.window_ms = k."windowMs" and w.starts_at = k."startsAt"`;
}

/** Writes what these windows say by now; what was found about them stays. */
export async function saveWindows(
  tx: Transaction,
  windows: readonly (WindowKey & WindowRow)[],
): Promise<void> {
  const rows = windows.map((window) => ({
    source: window.source,
    window_ms: window.windowMs,
    starts_at: window.startsAt,
    records: window.records,
    statistics: window.statistics,
  }));
  await tx`
    insert into profile_windows ${tx(rows)}
    on conflict (source, window_ms, starts_at) do update
    set records = excluded.records, statistics = excluded.statistics, changed_at = now()`;
}

/** Lets new series begin, each with the earliest of these windows. */
export async function beginSeries(tx: Transaction, keys: readonly WindowKey[]): Promise<void> {
  await tx`
    insert into profile_series (source, window_ms, judged_until)
    select source, "windowMs", min("startsAt")
    from json_to_recordset(${JSON.stringify(keys)}::text::json)
      as k (source text, "windowMs" bigint, "startsAt" timestamptz)
    group by source, "windowMs"
    on conflict do nothing`;
}

export interface SourceRow {
  source: string;
  project: string | null;
  newestAt: Instant;
}

/** @param sources each one once */
export async function saveSources(tx: Transaction, sources: readonly SourceRow[]): Promise<void> {
  await tx`
    insert into profiled_sources as s (source, project, newest_at)
    select source, project, "newestAt"
    from json_to_recordset(${JSON.stringify(sources)}::text::json)
      as r (source text, project text, "newestAt" timestamptz)
    on conflict (source) do update
    set project = excluded.project, newest_at = greatest(s.newest_at, excluded.newest_at)`;
}

export interface ProfiledSource extends SourceRow {
  /** By the clocks that came with its project's batches; null: none came. */
  clock: Instant | null;
  /** By the length of its windows, until when they are judged. */
  series: { windowMs: number; judgedUntil: Instant }[];
}

export async function listProfiledSources(db: Queryable): Promise<ProfiledSource[]> {
  const sources = await db<(SourceRow & { clock: Instant | null })[]>`
    select source, project, newest_at as "newestAt", clock
    from profiled_sources
    left join project_clocks using (project)
    order by source`;
  const series = await db<{ source: string; windowMs: number; judgedUntil: Instant }[]>`
    select source, window_ms as "windowMs", judged_until as "judgedUntil" from profile_series`;
  const bySource = Map.groupBy(series, ({ source }) => source);
  return sources.map((row) => ({ ...row, series: bySource.get(row.source) ?? [] }));
}

/** A length of windows that nobody asks for any more. */
export async function endSeries(tx: Transaction, source: string, windowMs: number): Promise<void> {
  await tx`delete from profile_series where source = ${source} and window_ms = ${windowMs}`;
}

/** @returns until when the windows of a series are judged; `undefined`: it has ended */
export async function readJudgedUntil(
  tx: Transaction,
  source: string,
  windowMs: number,
): Promise<Instant | undefined> {
  const [row] = await tx<{ judgedUntil: Instant }[]>`
    select judged_until as "judgedUntil" from profile_series
    where source = ${source} and window_ms = ${windowMs}`;
  return row?.judgedUntil;
}

export async function saveJudgedUntil(
  tx: Transaction,
  { source, windowMs, until }: { source: string; windowMs: number; until: Instant },
): Promise<void> {
  await tx`
    update profile_series set judged_until = ${until}
    where source = ${source} and window_ms = ${windowMs}`;
}

/** Windows with records that begin in a span, oldest first. */
export async function listWindows(
  tx: Transaction,
  { source, windowMs, from, until, limit }: {
    source: string;
    windowMs: number;
    from: Instant;
    until: Instant;
    limit: number;
  },
): Promise<WindowRow[]> {
  return await tx<WindowRow[]>`
    select starts_at as "startsAt", records, statistics
    from profile_windows
    where source = ${source} and window_ms = ${windowMs}
      and starts_at >= ${from} and starts_at < ${until} and records > 0
    order by starts_at
    limit ${limit}`;
}

/** The last window with records that begins before a time. */
export async function readWindowBefore(
  tx: Transaction,
  { source, windowMs, startsAt }: WindowKey,
): Promise<WindowRow | undefined> {
  const [row] = await tx<WindowRow[]>`
    select starts_at as "startsAt", records, statistics
    from profile_windows
    where source = ${source} and window_ms = ${windowMs} and starts_at < ${startsAt} and records > 0
    order by starts_at desc
    limit 1`;
  return row;
}

/** What was found about a window, which may be empty. */
export async function saveAnomalies(
  tx: Transaction,
  { source, windowMs, startsAt }: WindowKey,
  anomalies: readonly Anomaly[],
): Promise<void> {
  await tx`
    insert into profile_windows (source, window_ms, starts_at, anomalies)
    values (${source}, ${windowMs}, ${startsAt}, ${JSON.stringify(anomalies)}::text::json)
    on conflict (source, window_ms, starts_at) do update
    set anomalies = excluded.anomalies, changed_at = now()`;
}

export interface ProfileRow {
  startsAt: Instant;
  records: number;
  /** Of the window and of the parts that are not merged into it yet. */
  statistics: Uint8Array[];
  anomalies: Anomaly[];
}

/** Windows as they are with all that is stored, newest first. */
export async function listProfiles(
  db: Queryable,
  { source, windowMs, before, limit }: {
    source: string;
    windowMs: number;
    /** Those that begin before this; null: all. */
    before: Instant | null;
    limit: number;
  },
): Promise<ProfileRow[]> {
  return await db<ProfileRow[]>`
    with pieces as not materialized (
      select starts_at, records, statistics, anomalies
      from profile_windows
      where source = ${source} and window_ms = ${windowMs}
      union all
      select starts_at, records, statistics, null
      from profile_parts
      where source = ${source} and window_ms = ${windowMs}
    ),
    newest as (
      select distinct starts_at
      from pieces
      where ${before}::timestamptz is null or starts_at < ${before}
      order by starts_at desc
      limit ${limit}
    )
    select starts_at as "startsAt", sum(records)::bigint as records,
      coalesce(array_agg(statistics) filter (where statistics is not null), '{}') as statistics,
      coalesce((array_agg(anomalies) filter (where anomalies is not null))[1], '[]') as anomalies
    from pieces
    join newest using (starts_at)
    group by starts_at
    order by starts_at desc`;
}

/** Forgets windows that nothing has changed for so long. A bounded number at a time. */
export async function forgetOldWindows(db: Queryable, keepDays: number): Promise<void> {
  await db`
    delete from profile_windows
    where ctid = any(array(
      select ctid from profile_windows
      where changed_at < now() - make_interval(days => ${keepDays})
      limit 10000
      for update skip locked
    ))`;
}
