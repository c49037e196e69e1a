/** The SQL of forgetting what is old, a few rows at a time. @module */
import type { Instant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";

const STEP_ROWS = 1_000;

/** Messages that can't come again: what was acknowledged is gone from the stream. @returns how many were forgotten */
export async function forgetMessages(db: Database, days: number): Promise<number> {
  const { count } = await db`
    delete from handled_messages
    where ctid = any(array(
      select ctid from handled_messages
      where handled_at < now() - ${`${days} days`}::interval
      limit ${STEP_ROWS}
      for update skip locked
    ))`;
  return count;
}

/** The cleanings of replays that began so many days ago. @returns how many were forgotten */
export async function forgetPins(db: Database, days: number): Promise<number> {
  const { count } = await db`
    delete from replay_cleanings
    where ctid = any(array(
      select ctid from replay_cleanings
      where pinned_at < now() - ${`${days} days`}::interval
      limit ${STEP_ROWS}
      for update skip locked
    ))`;
  return count;
}

/**
 * Keys that would have been looked at so many days ago for the last time, had all come when it happened: what belongs
 * together need not come together, least of all after its source was held.
 */
export async function forgetKeys(db: Database, days: number): Promise<number> {
  const { count } = await db`
    delete from used_keys
    where ctid = any(array(
      select ctid from used_keys
      where keep_until < now() - ${`${days} days`}::interval
      limit ${STEP_ROWS}
      for update skip locked
    ))`;
  return count;
}

/** Of a source, or of all, what was quarantined so many days ago or more. */
export async function forgetQuarantined(db: Database, days: number, source: string): Promise<number> {
  const { count } = await db`
    delete from quarantined
    where number = any(array(
      select number from quarantined
      where source = ${source} and day <= (now() - ${`${days} days`}::interval)::date
      order by number
      limit ${STEP_ROWS}
      for update skip locked
    ))`;
  return count;
}

export async function quarantinedSources(db: Database): Promise<string[]> {
  const rows = await db<{ source: string }[]>`
    with recursive sources as (
      (select source from quarantined order by source limit 1)
      union all
      select (select q.source from quarantined q where q.source > s.source order by q.source limit 1)
      from sources s
      where s.source is not null
    )
    select source from sources where source is not null`;
  return rows.map(({ source }) => source);
}

/** A state of a source, by its place in the order of entities and times. */
export interface StateMark {
  entity: string;
  time: Instant;
  id: string;
}

/**
 * Forgets states that others of the same entity have followed, and that were kept so many days ago: one pass from state
 * to state, since most are the last of their entities and stay.
 *
 * @param after where the step begins; default: with the first
 * @returns where the next one begins; nothing when the pass is over
 */
export async function forgetStates(
  db: Database,
  days: number,
  { source, after = { entity: "", time: "0001-01-01T00:00:00.000Z", id: "" } }: {
    source: string;
    after?: StateMark | undefined;
  },
): Promise<StateMark | undefined> {
  const [last] = await db<(StateMark & { looked: number })[]>`
    with looked as materialized (
      select entity, event_time, id, kept_at
      from entity_states
      where source = ${source} and (entity, event_time, id) > (${after.entity}, ${after.time}::timestamptz, ${after.id})
      order by entity, event_time, id
      limit ${STEP_ROWS}
    ),
    forgotten as (
      delete from entity_states s
      using looked l
      where s.source = ${source} and s.entity = l.entity and s.event_time = l.event_time and s.id = l.id
        and l.kept_at < now() - ${`${days} days`}::interval
        and exists (
          select from entity_states later
          where later.source = ${source} and later.entity = l.entity
            and (later.event_time, later.id) > (l.event_time, l.id)
        )
    )
    select entity, event_time as "time", id, (select count(*) from looked) as looked
    from looked
    order by entity desc, event_time desc, id desc
    limit 1`;
  if (last === undefined || last.looked < STEP_ROWS) return undefined;
  const { looked: _, ...mark } = last;
  return mark;
}

/** Pages of the guard that one step looks through: about 13,000 events. */
const STEP_PAGES = 128;

/**
 * Forgets old events of the guard, in one pass from page to page: an index on the day would cost each event more than
 * a look at all of them now and then.
 *
 * @param page where the step begins, from 0
 * @returns where the next one begins; nothing when the pass is over
 */
export async function forgetEvents(db: Database, days: number, page: number): Promise<number | undefined> {
  const next = page + STEP_PAGES;
  await db`
    delete from cleaned_events
    where ctid >= ${`(${page},0)`}::tid and ctid < ${`(${next},0)`}::tid
      and seen_on < (now() - ${`${days} days`}::interval)::date`;
  const [size] = await db<{ pages: number }[]>`
    select pg_relation_size('cleaned_events') / current_setting('block_size')::integer as pages`;
  return next < size!.pages ? next : undefined;
}
