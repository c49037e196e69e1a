/** Building a training set out of the history of every entity. @module */
import type { FeatureValue, RequestValues } from "shared/contracts/feature_store.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import { writeTrainingSet } from "shared/training_set_file.ts";
import type { TrainingSetTable } from "shared/training_set_table.ts";
import type { Definitions } from "./catalog.ts";
import type { FeatureRow } from "./domain/feature_plan.ts";
import type { SpineRow } from "./domain/given_spine.ts";
import { createHistory, type EntityRecord, type History, toFeatureValue } from "./domain/history.ts";
import { createTrainingRows, type TrainingRows } from "./domain/training_rows.ts";
import { countKeys, readHistories, readKeysAfter } from "./repository/records.ts";
import type { TrainingSetRequest } from "./repository/training_sets.ts";
import { readGivenSpine } from "./spine_file.ts";
import { type BuiltTrainingSet, describe, type SourceRange } from "./training_set_description.ts";
import { columnsOf, isGiven, planTrainingSet, type TrainingSetPlan } from "./training_set_plan.ts";

export interface BuilderDeps {
  db: Database;
  definitions: Definitions;
  /** Rows times features that may be held. */
  maxValues: number;
}

export interface BuildOptions {
  /** The file of a spine that was given as one. */
  spineFile?: Uint8Array | undefined;
  /** Told now and then how far it is, between 0 and 1. */
  onProgress?(share: number): void;
}

/**
 * Values of records that are read at once, about 2 MB: as many are read ahead, and lie in the buffers of the connection
 * while PostgreSQL prepares them and this thread works. Larger pages would make the two wait for each other.
 */
const VALUES_AT_ONCE = 100_000;
const MAX_ENTITIES_AT_ONCE = 500;
/** Of the first page, when it is not known yet how much there is of an entity. */
const FIRST_ENTITIES = 10;
/** More fields than this are not picked out of the records by the database: whole records cost it less. */
const MAX_PICKED = 8;
/** The share of the work that is done when all records are read; the file is then written and stored. */
const READ_SHARE = 0.9;

/**
 * Rows are those of the given spine, or the active entities at each tick (the entity of each event) up to the project's
 * clock, by T and then by entity key. The records are read in one snapshot, a few entities at a time: what stays in
 * memory is the rows, not the history.
 *
 * @throws {AppError} `invalid` when the spine or the definitions do not fit, `too_large` beyond `maxValues`
 */
export async function buildTrainingSet(
  { db, definitions, maxValues }: BuilderDeps,
  request: TrainingSetRequest,
  { spineFile, onProgress = () => {} }: BuildOptions = {},
): Promise<BuiltTrainingSet> {
  const plan = await planTrainingSet(definitions, request);
  const given = await givenRows(plan, request, spineFile);
  const carried = isGiven(request.spine) ? request.spine.carry : [];
  const rows = createTrainingRows({
    features: plan.features.plan.features,
    carried,
    marksMature: plan.label?.mayBeNull ?? false,
    maxCells: maxValues,
  });
  const work: Work = { plan, request, given, carried, rows, dropped: 0, entitiesAtOnce: FIRST_ENTITIES };
  const sources = new Map([...plan.layouts.keys()].map((source) => [source, emptyRange()]));

  await db.begin("isolation level repeatable read read only", async (tx) => {
    const { total, pages } = await pagesOfKeys(tx, work);
    let done = 0;
    for await (const page of readAhead(pages, (keys) => readPage(tx, work, keys))) {
      for (const entity of page) {
        for (const [source, records] of entity.records) extend(sources.get(source)!, records);
        addEntity(work, entity);
      }
      done += page.length;
      work.entitiesAtOnce = entitiesAtOnce(plan, page);
      onProgress(Math.min(done / total, 1) * READ_SHARE);
    }
  });

  const table: TrainingSetTable = rows.finish();
  const file = await writeTrainingSet(table);
  return { file, ...describe({ table, file, statuses: rows.statuses(), sources, ...work }) };
}

interface Work {
  plan: TrainingSetPlan;
  request: TrainingSetRequest;
  /** Given rows of each entity, ascending by T. */
  given: ReadonlyMap<string, readonly PlacedRow[]> | undefined;
  carried: readonly string[];
  rows: TrainingRows;
  /** Immature rows left out. */
  dropped: number;
  /** Entities of the next page. */
  entitiesAtOnce: number;
}

interface PlacedRow extends SpineRow {
  /** Its number in the spine, from 0. */
  place: number;
}

async function givenRows(
  plan: TrainingSetPlan,
  request: TrainingSetRequest,
  file: Uint8Array | undefined,
): Promise<Work["given"]> {
  const { entity, spine, label } = request;
  if (!isGiven(spine)) return undefined;
  const rows = await readGivenSpine(spine, {
    entity,
    keys: plan.keys,
    ...columnsOf({ spine, label, features: plan.features }),
    clockMs: Date.parse(request.clock),
    file,
  });
  const byEntity = Map.groupBy(rows.map((row, place) => ({ ...row, place })), ({ key }) => key);
  for (const own of byEntity.values()) own.sort((a, b) => a.at - b.at || a.place - b.place);
  return byEntity;
}

interface EntityRecords {
  key: string;
  records: Map<string, readonly EntityRecord[]>;
}

/** The entities of the rows, by their keys in order, a page at a time. */
async function pagesOfKeys(
  tx: Transaction,
  work: Work,
): Promise<{ total: number; pages: AsyncIterable<string[]> }> {
  const { plan, given } = work;
  if (given !== undefined) return { total: given.size, pages: chunks([...given.keys()].sort(), work) };
  const query = { entity: plan.entity, source: plan.spine!.source };
  return { total: await countKeys(tx, query), pages: keysFrom(tx, query, work) };
}

async function* chunks(keys: readonly string[], work: Work): AsyncGenerator<string[]> {
  for (let first = 0; first < keys.length;) {
    const page = keys.slice(first, first + work.entitiesAtOnce);
    first += page.length;
    yield await Promise.resolve(page);
  }
}

async function* keysFrom(
  tx: Transaction,
  query: { entity: string; source: string },
  work: Work,
): AsyncGenerator<string[]> {
  for (let after = "";;) {
    const keys = await readKeysAfter(tx, { ...query, after, limit: work.entitiesAtOnce });
    if (keys.length === 0) return;
    yield keys;
    after = keys.at(-1)!;
  }
}

/** So many entities as have about {@link VALUES_AT_ONCE} values, going by those of a page. */
function entitiesAtOnce(plan: TrainingSetPlan, page: readonly EntityRecords[]): number {
  let values = 0;
  for (const { records } of page) {
    for (const [source, own] of records) {
      values += own.length * Math.max(1, plan.layouts.get(source)!.fields.length);
    }
  }
  const each = Math.max(1, values / page.length);
  return Math.min(MAX_ENTITIES_AT_ONCE, Math.max(1, Math.round(VALUES_AT_ONCE / each)));
}

/** PostgreSQL prepares the next page while this one is worked on. */
async function* readAhead<Page>(
  pages: AsyncIterable<string[]>,
  read: (keys: string[]) => Promise<Page>,
): AsyncGenerator<Page> {
  let ahead: Promise<Page> | undefined;
  for await (const keys of pages) {
    const next = read(keys);
    // Its failure is thrown when its turn comes; unobserved until then, it would end the process.
    next.catch(() => undefined);
    if (ahead !== undefined) yield await ahead;
    ahead = next;
  }
  if (ahead !== undefined) yield await ahead;
}

async function readPage(
  tx: Transaction,
  { plan, request, given }: Work,
  keys: string[],
): Promise<EntityRecords[]> {
  const { entity, layouts, label } = plan;
  const last = given === undefined
    ? lastTime(request)
    : Math.max(...keys.map((key) => given.get(key)!.at(-1)!.at));
  const until = last + (label?.withinMs ?? 0);
  const histories = await Promise.all(
    [...layouts].map(async ([source, { fields, filters }]) => {
      const needed = filters.length > 0 || fields.length > MAX_PICKED ? undefined : fields;
      return [source, await readHistories(tx, { entity, source, keys, fields: needed, until })] as const;
    }),
  );
  return keys.map((key) => ({
    key,
    records: new Map(histories.map(([source, byKey]) => [source, byKey.get(key) ?? []])),
  }));
}

function addEntity(work: Work, entity: EntityRecords): void {
  const { plan, request, given, carried, rows } = work;
  const { features, label, layouts } = plan;
  const histories = new Map<string, History>();
  for (const [source, layout] of layouts) {
    histories.set(source, createHistory(layout, entity.records.get(source)!));
  }
  const dataOf = new Map([...histories].map(([source, history]) => [source, { history }]));
  const isOnDemand = features.plan.request.size > 0;
  const clockMs = Date.parse(request.clock);
  const observed = given?.get(entity.key) ?? declaredRows(work, histories);
  let evaluated: { at: number; row: FeatureRow } | undefined;
  for (const { at, place, data } of observed) {
    const mature = label === undefined || at + label.withinMs <= clockMs;
    if (!mature && request.immature === "drop") {
      work.dropped++;
      continue;
    }
    if (evaluated?.at !== at || isOnDemand) {
      const moment = { atMs: at, knownByMs: request.asKnown === "now" ? Infinity : at, request: asked(data) };
      evaluated = { at, row: features.plan.evaluate((view) => dataOf.get(view.source)!, moment) };
    }
    rows.add({
      entity: entity.key,
      atMs: at,
      features: evaluated.row,
      label: labelOf(data, at, mature),
      mature,
      carried: carried.map((column) => toFeatureValue(data?.[column])),
      ...(place === undefined ? {} : { place }),
    });
  }

  function asked(data: SpineRow["data"] | undefined): RequestValues {
    return Object.fromEntries(
      [...features.plan.request.keys()].map((name) => [name, toFeatureValue(data?.[name])]),
    );
  }

  function labelOf(data: SpineRow["data"] | undefined, at: number, mature: boolean): FeatureValue {
    if (label !== undefined) return mature ? label.evaluate(histories.get(label.source)!, at) : null;
    const { label: declared } = request;
    return declared !== null && "column" in declared ? toFeatureValue(data?.[declared.column]) : null;
  }
}

function* declaredRows(
  { plan, request }: Work,
  histories: ReadonlyMap<string, History>,
): Generator<{ at: number; place?: undefined; data?: undefined }> {
  const spine = plan.spine!;
  const fromMs = request.from === null ? -Infinity : Date.parse(request.from);
  const range = { fromMs, toMs: lastTime(request), asKnown: request.asKnown };
  const times = spine.times(histories.get(spine.source)!, range);
  for (const at of times) yield { at };
}

/** No row lies after the clock: what would be known then is not known yet. */
function lastTime({ to, clock }: TrainingSetRequest): number {
  return Math.min(to === null ? Infinity : Date.parse(to), Date.parse(clock));
}

const emptyRange = (): SourceRange => ({ records: 0, fromMs: Infinity, toMs: -Infinity });

function extend(range: SourceRange, records: readonly EntityRecord[]): void {
  if (records.length === 0) return;
  range.records += records.length;
  range.fromMs = Math.min(range.fromMs, records[0]!.time);
  range.toMs = Math.max(range.toMs, records.at(-1)!.time);
}
