/** Comparing what a prediction was made of with what the records say of its T. @module */
import { type Entity, entityKey } from "shared/contracts/entity_key.ts";
import type { RequestValues } from "shared/contracts/feature_store.ts";
import type { PredictionRecord } from "shared/contracts/model_serving.ts";
import type { Queryable } from "shared/db/connection.ts";
import { AppError } from "shared/errors.ts";
import type { AskedFeatures, FeatureCache } from "./catalog.ts";
import {
  isSameValue,
  type LateRecord,
  parseSnapshot,
  recordsBefore,
  type Snapshot,
  type ValueComparison,
} from "./domain/consistency.ts";
import type { FeatureRow, Moment } from "./domain/feature_plan.ts";
import { createHistory, type EntityRecord } from "./domain/history.ts";
import type { ViewPlan } from "./domain/view_plan.ts";
import { readLateRecords } from "./repository/applied_messages.ts";
import { readHistories } from "./repository/records.ts";
import type { LoggedPrediction } from "./sample_predictions.ts";

export interface CompareDeps {
  db: Queryable;
  features: Pick<FeatureCache, "find">;
}

/** What a prediction says of the read behind it. */
interface LoggedRead {
  featureService: { name: string; version: number };
  entity: Entity;
  position: number;
  snapshot: Snapshot;
  /** What the caller gave for on-demand features. */
  request: RequestValues;
}

/**
 * The features are computed from the records alone, so that what buckets hold is checked too, and by the very versions of
 * views that the feature service had. Where a value differs it is computed once more from what the read could see.
 *
 * @returns undefined where the prediction says nothing about what the store gave, or a definition is gone
 */
export async function comparePrediction(
  { db, features }: CompareDeps,
  { id, time, data }: LoggedPrediction,
): Promise<ValueComparison[] | undefined> {
  const read = readOf(data);
  const asked = read && await findServed(features, read);
  if (read === undefined || asked === undefined) return undefined;
  const { entity, request } = read;
  const atMs = Date.parse(time);
  const keys = keysOf(asked, entity);
  if (keys === undefined) return undefined;

  const records = await readRecords(db, asked, { keys, atMs });
  const computed = evaluate(asked, records, { atMs, request });
  const compared = asked.plan.features.flatMap((feature, index) => {
    const isLookedUp = Object.hasOwn(data.features, feature) &&
      !["GIVEN", "DEFAULT"].includes(data.statuses[feature] ?? "");
    if (!isLookedUp || computed.approximate.includes(index)) return [];
    return [{ feature, index, served: data.features[feature]!, computed: computed.values[index]! }];
  });
  const differs = compared.some(({ served, computed }) => !isSameValue(served, computed));
  const late = differs ? await readLate(db, asked, { keys, atMs, snapshot: read.snapshot }) : NOTHING_LATE;
  const visible = [...records].map(([name, all]) =>
    [name, recordsBefore(all, late.get(name) ?? [])] as const
  );
  const before = late.size === 0 ? computed : evaluate(asked, new Map(visible), { atMs, request });
  return compared.map(({ feature, index, served, computed }): ValueComparison => {
    const base = { prediction: id, entity, atMs, feature, served, computed, late: [] };
    if (isSameValue(served, computed)) return { ...base, outcome: "equal" };
    if (!isSameValue(served, before.values[index]!)) return { ...base, outcome: "unexplained" };
    return {
      ...base,
      outcome: "explained",
      late: lateOf(asked, late, feature).map(({ position, knownAtMs }) => ({
        messages: position === null ? 0 : Math.max(0, position - read.position),
        lagMs: atMs - knownAtMs,
      })),
    };
  });
}

function readOf(
  { outcome, featuresFrom, featureService, entity, position, snapshot, request }: PredictionRecord,
): LoggedRead | undefined {
  const seen = snapshot === null ? undefined : parseSnapshot(snapshot);
  const isLookedUp = outcome === "ok" && featuresFrom === "store";
  if (!isLookedUp || featureService === null || entity === null || position === null) return undefined;
  return seen && { featureService, entity, position, snapshot: seen, request: request ?? {} };
}

/** Undefined where something is not there any more, or features ask for values that the record does not hold. */
async function findServed(
  features: CompareDeps["features"],
  { featureService: { name: service, version }, request }: LoggedRead,
): Promise<AskedFeatures | undefined> {
  try {
    const asked = await features.find({ service, version });
    return [...asked.plan.request.keys()].every((name) => Object.hasOwn(request, name)) ? asked : undefined;
  } catch (error) {
    if (error instanceof AppError && ["not_found", "invalid"].includes(error.code)) return undefined;
    throw error;
  }
}

/** By entity; undefined where one's parts are not all given. */
function keysOf({ keysOf }: AskedFeatures, entity: Entity): Map<string, string> | undefined {
  const keys = [...keysOf].flatMap(([name, parts]): [string, string][] => {
    const key = entityKey(entity, parts);
    return key === undefined ? [] : [[name, key]];
  });
  return keys.length < keysOf.size ? undefined : new Map(keys);
}

/** By {@link groupOf}: the views of a group look at the same records. */
type Grouped<Row> = ReadonlyMap<string, readonly Row[]>;

const NOTHING_LATE: Grouped<LateRecord> = new Map();

const groupOf = ({ entity, source }: Pick<ViewPlan, "entity" | "source">) => `${entity} ${source}`;

interface AtT {
  /** By entity. */
  keys: ReadonlyMap<string, string>;
  atMs: number;
}

/** Of each group, the records up to T that were known by then. */
async function readRecords(
  db: Queryable,
  { plan }: AskedFeatures,
  { keys, atMs }: AtT,
): Promise<Grouped<EntityRecord>> {
  const records = new Map<string, readonly EntityRecord[]>();
  for (const view of plan.views) {
    const { entity, source } = view;
    if (records.has(groupOf(view))) continue;
    const { fields, filters } = plan.layouts.get(source)!;
    const key = keys.get(entity)!;
    const histories = await readHistories(db, {
      entity,
      source,
      keys: [key],
      fields: filters.length > 0 ? undefined : fields,
      until: atMs,
      knownBy: atMs,
    });
    records.set(groupOf(view), histories.get(key) ?? []);
  }
  return records;
}

/** Of each group that has any, the records that the read did not see as they are. */
async function readLate(
  db: Queryable,
  { plan }: AskedFeatures,
  { keys, atMs, snapshot }: AtT & { snapshot: Snapshot },
): Promise<Grouped<LateRecord>> {
  const late = new Map<string, readonly LateRecord[]>();
  for (const view of plan.views) {
    const { entity, source } = view;
    const found = await readLateRecords(db, { entity, source, key: keys.get(entity)!, atMs, snapshot });
    if (found.length > 0) late.set(groupOf(view), found);
  }
  return late;
}

/** Those that a feature can reach. */
function lateOf(
  { plan, viewsBehind }: AskedFeatures,
  late: Grouped<LateRecord>,
  feature: string,
): LateRecord[] {
  const behind = viewsBehind(feature);
  const groups = new Set(plan.views.filter(({ name }) => behind.has(name)).map(groupOf));
  return [...groups].flatMap((group) => late.get(group) ?? []);
}

function evaluate({ plan }: AskedFeatures, records: Grouped<EntityRecord>, moment: Moment): FeatureRow {
  const histories = new Map(
    plan.views.map((view) => [
      groupOf(view),
      createHistory(plan.layouts.get(view.source)!, records.get(groupOf(view))!),
    ]),
  );
  return plan.evaluate((view) => ({ history: histories.get(groupOf(view))! }), moment);
}
