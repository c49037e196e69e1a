/** The SQL of the versions of views, and of how far each is filled. @module */
import { type ViewBody, viewBodySchema } from "shared/contracts/feature_store.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";

/** A version of a view whose buckets are kept. */
export interface ViewVersionRow {
  id: number;
  view: string;
  version: number;
  source: string;
  entity: string;
  status: "building" | "ready" | "retired";
  /** Keys up to this one are filled while it is built. */
  filledTo: string;
  keysFilled: number;
  keysTotal: number;
  /** Of the definition's body: equal ones are equal. */
  bodyHash: string;
  /** Windows that end before it may miss buckets, milliseconds since 1970; null: none is missing. */
  intactFromMs: number | null;
  /** The same, once every copy has seen it. */
  settledFromMs: number | null;
}

/** Buckets of so many versions of a view are kept; older ones are answered from records. */
const KEPT_VERSIONS = 3;

const columns = (db: Queryable) =>
  db`id, view, view_versions.version, source, entity, status, filled_to as "filledTo",
    keys_filled as "keysFilled", keys_total as "keysTotal", body_hash as "bodyHash",
    intact_from_ms as "intactFromMs",
    case when intact_from_changed_at < now() - interval '1 minute' then intact_from_ms end as "settledFromMs"`;

const withDefinitions = (db: Queryable) =>
  db`view_versions join definitions
    on definitions.kind = 'view' and definitions.name = view and definitions.version = view_versions.version`;

/** All versions, or those of a view, by view and version. */
export async function readViewVersions(db: Queryable, view?: string): Promise<ViewVersionRow[]> {
  const named = view === undefined ? db`` : db`where view = ${view}`;
  return await db<ViewVersionRow[]>`select ${columns(db)} from ${
    withDefinitions(db)
  } ${named} order by view, view_versions.version`;
}

/** The versions whose buckets follow what comes in from some sources. */
export async function readFollowing(
  db: Queryable,
  sources: readonly string[],
): Promise<ViewVersionRow[]> {
  return await db<ViewVersionRow[]>`
    select ${columns(db)} from ${withDefinitions(db)}
    where source = any(${sources as string[]}) and status <> 'retired' order by id`;
}

export async function readViewBody(db: Queryable, id: number): Promise<ViewBody> {
  const [row] = await db<{ body: unknown }[]>`
    select body from ${withDefinitions(db)} where id = ${id}`;
  return viewBodySchema.parse(row!.body);
}

/**
 * Adds a version of a view, to be filled from history, and retires those that are too old. An entity that the source
 * has not described before is filled from its stored events first.
 */
export async function addViewVersion(
  tx: Transaction,
  { name, version, body }: { name: string; version: number; body: Pick<ViewBody, "source" | "entity"> },
): Promise<void> {
  const { source, entity } = body;
  await lockSources(tx, [source]);
  await tx`
    insert into described_sources (source, entity, filled_to)
    select ${source}, ${entity}, case when exists (select 1 from records where source = ${source}) then '' end
    on conflict do nothing`;
  await tx`
    insert into view_versions (view, version, source, entity, status)
    select ${name}, ${version}, ${source}, ${entity},
      case when exists (select 1 from records where source = ${source}) then 'building' else 'ready' end`;
  await tx`
    update view_versions set status = 'retired', changed_at = now()
    where view = ${name} and version <= ${version - KEPT_VERSIONS} and status <> 'retired'`;
}

export async function retireView(tx: Transaction, name: string): Promise<void> {
  await tx`
    update view_versions set status = 'retired', changed_at = now()
    where view = ${name} and status <> 'retired'`;
}

/** No more records of the entity are made; where it is described again, all that came is looked at anew. */
export async function endRecords(tx: Transaction, entity: string): Promise<void> {
  await tx`delete from described_sources where entity = ${entity}`;
}

/**
 * Until the end of the transaction nobody else writes records or buckets of these sources. Whoever does so holds the
 * lock from before reading which views follow them.
 */
export async function lockSources(tx: Transaction, sources: readonly string[]): Promise<void> {
  // In the order of the names: transactions that lock several at once do not wait for each other in a circle.
  const sorted = [...new Set(sources)].sort();
  await tx`
    select pg_advisory_xact_lock(hashtextextended('records of ' || source, 0))
    from unnest(${sorted}::text[]) as source`;
}

/** A version of a view that is to be filled further; nobody else is at it. */
export async function takeBuilding(tx: Transaction, id: number): Promise<ViewVersionRow | undefined> {
  const [row] = await tx<ViewVersionRow[]>`
    select ${columns(tx)} from ${withDefinitions(tx)}
    where id = ${id} and status = 'building' for update of view_versions skip locked`;
  return row;
}

export async function advanceBuilding(
  tx: Transaction,
  { id, filledTo, keys, keysTotal }: { id: number; filledTo: string; keys: number; keysTotal: number },
): Promise<void> {
  await tx`
    update view_versions
    set filled_to = ${filledTo}, keys_filled = keys_filled + ${keys}, keys_total = ${keysTotal}, changed_at = now()
    where id = ${id}`;
}

export async function finishBuilding(tx: Transaction, id: number): Promise<void> {
  await tx`
    update view_versions set status = 'ready', keys_total = keys_filled, changed_at = now() where id = ${id}`;
}

/** Notes from which time on windows stay whole; it only ever rises. */
export async function raiseIntactFrom(
  db: Queryable,
  { id, fromMs }: { id: number; fromMs: number },
): Promise<void> {
  await db`
    update view_versions set intact_from_ms = ${fromMs}, intact_from_changed_at = now()
    where id = ${id} and (intact_from_ms is null or intact_from_ms < ${fromMs})`;
}

/** Removes some buckets of versions that were retired a while ago, when no copy reads them any more. @returns how many */
export async function removeRetired(db: Queryable, limit: number): Promise<number> {
  const { count } = await db`
    delete from buckets where ctid = any(array(
      select buckets.ctid from buckets join view_versions on id = view_version
      where status = 'retired' and changed_at < now() - interval '1 minute' limit ${limit}
    ))`;
  return count;
}

/** An entity that a source's stored events are to be made records of. */
export interface DescribedSource {
  source: string;
  entity: string;
  /** Events up to this id are. */
  filledTo: string;
}

export async function readUnfilledSources(db: Queryable): Promise<DescribedSource[]> {
  return await db<DescribedSource[]>`
    select source, entity, filled_to as "filledTo" from described_sources where filled_to is not null
    order by source, entity`;
}

export async function takeUnfilledSource(
  tx: Transaction,
  { source, entity }: Pick<DescribedSource, "source" | "entity">,
): Promise<DescribedSource | undefined> {
  const [row] = await tx<DescribedSource[]>`
    select source, entity, filled_to as "filledTo" from described_sources
    where source = ${source} and entity = ${entity} and filled_to is not null for update skip locked`;
  return row;
}

/** @param filledTo null: all events are records of the entity */
export async function advanceSource(
  tx: Transaction,
  { source, entity, filledTo }: { source: string; entity: string; filledTo: string | null },
): Promise<void> {
  await tx`
    update described_sources set filled_to = ${filledTo} where source = ${source} and entity = ${entity}`;
}
