/** Building a training set out of the history of every entity. @module */
import { type Instant, toInstant } from "shared/contracts/time.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import { type TrainingSetTable, writeTrainingSet } from "shared/training_set_file.ts";
import type { Definitions } from "./catalog.ts";
import { createHistory, type EntityRecord, type History } from "./domain/history.ts";
import { createTrainingRows, type TrainingRows } from "./domain/training_rows.ts";
import type { Pace } from "./pace.ts";
import { countKeys, readHistories, readKeysAfter } from "./repository/records.ts";
import type { TrainingSetRequest, TrainingSetResult } from "./repository/training_sets.ts";
import { planTrainingSet, type TrainingSetPlan } from "./training_set_plan.ts";

export interface BuilderDeps {
  db: Database;
  definitions: Definitions;
  /** Rows times features that may be held. */
  maxValues: number;
}

export interface BuildOptions {
  pace: Pace;
  /** Told now and then how far the reading is, between 0 and 1; may throw to end the work. */
  onProgress(share: number): Promise<void>;
}

export interface BuiltTrainingSet {
  file: Uint8Array;
  result: Omit<TrainingSetResult, "sha256">;
}

/** Entities whose histories are held at once. */
const ENTITIES_AT_ONCE = 100;

/**
 * Rows are the active entities at each tick up to the project's clock, by T and then by entity key. The records
 * are read in one snapshot, a few entities at a time: what stays in memory is the rows, not the history.
 */
export async function buildTrainingSet(
  { db, definitions, maxValues }: BuilderDeps,
  request: TrainingSetRequest,
  options: BuildOptions,
): Promise<BuiltTrainingSet> {
  const plan = await planTrainingSet(definitions, request);
  const rows = createTrainingRows(plan.features.plan.features, { maxCells: maxValues });
  const read = new Map([...plan.layouts.keys()].map((source) => [source, 0]));

  await db.begin("isolation level repeatable read read only", async (tx) => {
    const total = await countKeys(tx, { entity: plan.entity, source: plan.spine.source });
    let done = 0;
    for await (const page of readEntities(tx, plan, request)) {
      for (const entity of page) {
        for (const [source, records] of entity.records) {
          read.set(source, read.get(source)! + records.length);
        }
        await addEntity(rows, plan, { request, entity, pace: options.pace });
      }
      done += page.length;
      await options.onProgress(Math.min(done / total, 1));
    }
  });

  const table = await toTable(rows, plan, options.pace);
  const file = await writeTrainingSet(table);
  return { file, result: describe({ rows, table, file, plan, request, read }) };
}

interface EntityRecords {
  key: string;
  records: Map<string, readonly EntityRecord[]>;
}

/** The entities of the spine's source in the order of their keys, with their records from every source. */
async function* readEntities(
  tx: Transaction,
  plan: TrainingSetPlan,
  request: TrainingSetRequest,
): AsyncGenerator<EntityRecords[]> {
  const { entity, spine, label } = plan;
  const until = lastTime(request) + label.withinMs;
  for (let after = "";;) {
    const keys = await readKeysAfter(tx, { entity, source: spine.source, after, limit: ENTITIES_AT_ONCE });
    if (keys.length === 0) return;
    const histories = await Promise.all(
      [...plan.layouts].map(async ([source, { fields, filters }]) => {
        const needed = filters.length > 0 ? undefined : fields;
        return [source, await readHistories(tx, { entity, source, keys, fields: needed, until })] as const;
      }),
    );
    yield keys.map((key) => ({
      key,
      records: new Map(histories.map(([source, byKey]) => [source, byKey.get(key) ?? []])),
    }));
    after = keys.at(-1)!;
  }
}

async function addEntity(
  rows: TrainingRows,
  plan: TrainingSetPlan,
  { request, entity, pace }: { request: TrainingSetRequest; entity: EntityRecords; pace: Pace },
): Promise<void> {
  const { features, spine, label, layouts } = plan;
  const histories = new Map<string, History>();
  for (const [source, layout] of layouts) {
    histories.set(source, createHistory(layout, entity.records.get(source)!));
  }
  const fromMs = request.from === null ? -Infinity : Date.parse(request.from);
  const clockMs = Date.parse(request.clock);
  const ticks = spine.activeTicks(histories.get(spine.source)!, { fromMs, toMs: lastTime(request) });
  for (const atMs of ticks) {
    rows.add({
      entity: entity.key,
      atMs,
      features: features.plan.evaluate((view) => ({ history: histories.get(view.source)! }), { atMs }),
      label: atMs + label.withinMs > clockMs ? null : label.evaluate(histories.get(label.source)!, atMs),
    });
    await pace.breathe();
  }
}

/** No row lies after the clock: what would be known then is not known yet. */
function lastTime({ to, clock }: TrainingSetRequest): number {
  return Math.min(to === null ? Infinity : Date.parse(to), Date.parse(clock));
}

async function toTable(rows: TrainingRows, plan: TrainingSetPlan, pace: Pace): Promise<TrainingSetTable> {
  const order = rows.order();
  const features = [];
  for (const [index, name] of plan.features.plan.features.entries()) {
    features.push({ name, values: rows.feature(index, order) });
    await pace.breathe();
  }
  return { entities: rows.entities(order), times: rows.times(order), labels: rows.labels(order), features };
}

function describe(
  { rows, table, file, plan, request, read }: {
    rows: TrainingRows;
    table: TrainingSetTable;
    file: Uint8Array;
    plan: TrainingSetPlan;
    request: TrainingSetRequest;
    read: ReadonlyMap<string, number>;
  },
): BuiltTrainingSet["result"] {
  const instant = (time: number | undefined): Instant | null => time === undefined ? null : toInstant(time);
  return {
    bytes: file.byteLength,
    rows: rows.length,
    immature: rows.immature,
    manifest: {
      featureService: request.featureService,
      views: plan.features.plan.views.map(({ name, version }) => ({ name, version })),
      features: [...plan.features.plan.features],
      from: instant(table.times[0]),
      to: instant(table.times.at(-1)),
      clock: request.clock,
      records: Object.fromEntries(read),
    },
  };
}
