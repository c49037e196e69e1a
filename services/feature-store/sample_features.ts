/** What the features of every view hold for a sample of entities, at the project's clock. @module */
import type { FeatureStatistics } from "shared/contracts/feature_store.ts";
import { toInstant } from "shared/contracts/time.ts";
import { type Database, type Queryable, transaction } from "shared/db/connection.ts";
import { createFieldStatistics } from "shared/statistics/field_statistics.ts";
import { type Definitions, findFeatures } from "./catalog.ts";
import type { FeatureRow } from "./domain/feature_plan.ts";
import { createHistory } from "./domain/history.ts";
import { insertStatistics } from "./repository/insight.ts";
import { readHistories, readKeysAfter } from "./repository/records.ts";

/** Entities of the view's source that are looked at ... */
const SAMPLED = 500;
/** ... spread evenly over the first so many, in the order of their keys. */
const MAX_KEYS = 50_000;
const KEYS_AT_ONCE = 5_000;
const HISTORIES_AT_ONCE = 100;

export async function sampleFeatures(
  { db, definitions, now }: {
    db: Database;
    definitions: Definitions;
    now: (project: string) => Promise<number>;
  },
): Promise<void> {
  let failure: unknown;
  for (const view of definitions.views()) {
    try {
      const rows = await sampleView(db, definitions, { name: view.name, atMs: await now(view.project) });
      if (rows.length > 0) await transaction(db, (tx) => insertStatistics(tx, rows));
    } catch (error) {
      // One that can't be read for now keeps nobody else back.
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
}

async function sampleView(
  db: Queryable,
  definitions: Definitions,
  { name, atMs }: { name: string; atMs: number },
): Promise<FeatureStatistics[]> {
  const view = await definitions.view(name);
  if (view === undefined) return [];
  const { plan, isOnDemand } = await findFeatures(
    definitions,
    Object.keys(view.body.features).map((one) => `${name}.${one}`),
  );
  const { entity, source } = view.body;
  const keys = await sampleKeys(db, { entity, source });
  if (keys.length === 0) return [];
  // While the newest is filled it is the one before that answers.
  const { version } = plan.views.find((planned) => planned.name === name)!;
  const described = plan.features.map((feature) => createDescription(feature, version, atMs));
  for (let first = 0; first < keys.length; first += HISTORIES_AT_ONCE) {
    const page = keys.slice(first, first + HISTORIES_AT_ONCE);
    const histories = new Map(
      await Promise.all([...plan.layouts].map(async ([from, { fields, filters }]) =>
        [
          from,
          await readHistories(db, {
            entity,
            source: from,
            keys: page,
            fields: filters.length > 0 ? undefined : fields,
            until: atMs,
            knownBy: atMs,
          }),
        ] as const
      )),
    );
    for (const key of page) {
      const row = plan.evaluate(({ source: from }) => ({
        history: createHistory(plan.layouts.get(from)!, histories.get(from)!.get(key) ?? []),
      }), { atMs });
      described.forEach((description, index) => description.add(row, index));
    }
  }
  // Without a request there is nothing to say of an on-demand feature.
  return described.filter((_, index) => !isOnDemand(plan.features[index]!))
    .map((description) => description.finish());
}

async function sampleKeys(db: Queryable, query: { entity: string; source: string }): Promise<string[]> {
  const keys: string[] = [];
  while (keys.length < MAX_KEYS) {
    const page = await readKeysAfter(db, { ...query, after: keys.at(-1) ?? "", limit: KEYS_AT_ONCE });
    keys.push(...page);
    if (page.length < KEYS_AT_ONCE) break;
  }
  const step = Math.max(1, keys.length / SAMPLED);
  return Array.from(
    { length: Math.min(SAMPLED, keys.length) },
    (_, index) => keys[Math.floor(index * step)]!,
  );
}

function createDescription(feature: string, version: number, atMs: number) {
  const values = createFieldStatistics();
  const ages: number[] = [];
  const statuses: FeatureStatistics["statuses"] = { PRESENT: 0, NULL: 0, NOT_FOUND: 0, EXPIRED: 0 };
  return {
    add(row: FeatureRow, index: number): void {
      statuses[row.statuses[index]!]++;
      values.add(row.values[index]);
      const eventTime = row.eventTimes[index];
      if (eventTime !== null && eventTime !== undefined) ages.push(atMs - eventTime);
    },
    finish(): FeatureStatistics {
      const { distinct, numbers } = values.summary({ field: feature });
      ages.sort((a, b) => a - b);
      const age = (quantile: number) => ages[Math.floor(quantile * (ages.length - 1))]!;
      return {
        feature,
        version,
        at: toInstant(atMs),
        statuses,
        distinct,
        numbers: numbers === null ? null : {
          min: numbers.min,
          max: numbers.max,
          mean: numbers.mean,
          p05: numbers.quantiles.p05,
          p50: numbers.quantiles.p50,
          p95: numbers.quantiles.p95,
        },
        freshness: ages.length === 0 ? null : { p50: age(0.5), p95: age(0.95), max: age(1) },
      };
    },
  };
}
