/** The SQL of consistency checks, of statistics of features and of how often they are read. @module */
import type { ConsistencyCheck, FeatureStatistics } from "shared/contracts/feature_store.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";

/** Old results go when new ones come. */
const CHECKS_KEPT = "90 days";
const STATISTICS_KEPT = "30 days";
const READS_KEPT = "30 days";

export async function insertCheck(tx: Transaction, check: ConsistencyCheck): Promise<void> {
  await tx`
    insert into consistency_checks (id, at, actor, models)
    values (${check.id}, ${check.at}, ${check.actor}, ${JSON.stringify(check.models)}::text::json)`;
  await tx`delete from consistency_checks where at < now() - ${CHECKS_KEPT}::interval`;
}

export async function listChecks(db: Queryable, limit: number): Promise<ConsistencyCheck[]> {
  return await db<ConsistencyCheck[]>`
    select id, at, actor, models from consistency_checks order by at desc, id desc limit ${limit}`;
}

export async function insertStatistics(tx: Transaction, rows: readonly FeatureStatistics[]): Promise<void> {
  const values = rows.map((row) => {
    const [view, feature] = row.feature.split(".");
    return { view, feature, version: row.version, at: row.at, statistics: row };
  });
  await tx`
    insert into feature_statistics (view, feature, version, at, statistics)
    select view, feature, version, at, statistics
    from json_to_recordset(${JSON.stringify(values)}::text::json) as sampled(
      view text, feature text, version integer, at timestamptz, statistics json
    )
    on conflict do nothing`;
  await tx`delete from feature_statistics where sampled_at < now() - ${STATISTICS_KEPT}::interval`;
}

export async function listStatistics(
  db: Queryable,
  { view, feature = null, before = null, limit }: {
    view: string;
    feature?: string | undefined | null;
    before?: Instant | undefined | null;
    limit: number;
  },
): Promise<FeatureStatistics[]> {
  const rows = await db<{ statistics: FeatureStatistics }[]>`
    select statistics from feature_statistics
    where view = ${view} and (${feature}::text is null or feature = ${feature})
      and (${before}::timestamptz is null or at < ${before})
    order by at desc, feature limit ${limit}`;
  return rows.map(({ statistics }) => statistics);
}

/** What online reads are counted of: a service, or a view whose features were named one by one. */
export interface ReadNode {
  kind: "service" | "view";
  name: string;
}

export interface Reads extends ReadNode {
  reads: number;
  entities: number;
}

export async function addReads(tx: Transaction, counted: readonly Reads[]): Promise<void> {
  // In one order: copies that count at once lock the rows one after the other.
  const rows = counted.toSorted((a, b) => `${a.kind}/${a.name}` < `${b.kind}/${b.name}` ? -1 : 1);
  await tx`
    insert into feature_reads as counted (kind, name, day, reads, entities)
    select kind, name, current_date, reads, entities
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as added(
      kind text, name text, reads bigint, entities bigint
    )
    on conflict (kind, name, day) do update
      set reads = counted.reads + excluded.reads, entities = counted.entities + excluded.entities`;
  await tx`delete from feature_reads where day < current_date - ${READS_KEPT}::interval`;
}

export async function readReads(db: Queryable): Promise<(Reads & { lastDay: string })[]> {
  return await db<(Reads & { lastDay: string })[]>`
    select kind, name, sum(reads)::bigint as reads, sum(entities)::bigint as entities, max(day)::text as "lastDay"
    from feature_reads group by kind, name order by kind, name`;
}
