/** The rows of a share of the entities, made out of their histories. @module */
import type { FeatureValue, RequestValues } from "shared/contracts/feature_store.ts";
import type { Transaction } from "shared/db/connection.ts";
import type { FeatureRow } from "./domain/feature_plan.ts";
import { createGivenReader, type GivenReader, type GivenRow } from "./domain/given_rows.ts";
import { createHistory, type History } from "./domain/history.ts";
import {
  createTrainingRows,
  type RowLimit,
  type TrainingPart,
  type TrainingRows,
} from "./domain/training_rows.ts";
import { readKeysAfter, readLaidOutHistories } from "./repository/records.ts";
import type { TrainingSetRequest } from "./repository/training_sets.ts";
import { emptyRange, extend, type SourceRange } from "./training_set_description.ts";
import { isGiven, type TrainingSetPlan } from "./training_set_plan.ts";
import type { Share } from "./training_set_share.ts";

export interface PartOptions {
  plan: TrainingSetPlan;
  request: TrainingSetRequest;
  share: Share;
  limit: RowLimit;
  /** Told now and then how far it is, between 0 and 1. */
  onProgress(share: number): void;
}

/** Data that may go to another thread. */
export interface BuiltPart extends TrainingPart {
  /** Immature rows left out. */
  dropped: number;
  /** What was read of each source. */
  sources: ReadonlyMap<string, SourceRange>;
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

/**
 * Reads the records of a few entities at a time: what stays in memory is the rows, not the history.
 *
 * @throws {AppError} `too_large` beyond the limit
 */
export async function buildPart(tx: Transaction, options: PartOptions): Promise<BuiltPart> {
  const { plan, request, share, limit, onProgress } = options;
  const carried = isGiven(request.spine) ? request.spine.carry : [];
  const rows = createTrainingRows({ carried: carried.length, limit });
  const given = "given" in share ? createGivenReader(share.given) : undefined;
  const work: Work = { ...options, given, carried, rows, dropped: 0, entitiesAtOnce: FIRST_ENTITIES };
  const sources = new Map([...plan.layouts.keys()].map((source) => [source, emptyRange()]));
  const total = "given" in share ? share.given.keys.length : share.keys;
  let done = 0;
  for await (const page of readAhead(pagesOfKeys(tx, work), (keys) => readPage(tx, work, keys))) {
    for (const entity of page) {
      for (const [source, history] of entity.histories) extend(sources.get(source)!, history);
      addEntity(work, entity);
    }
    done += page.length;
    work.entitiesAtOnce = entitiesAtOnce(plan, page);
    onProgress(Math.min(done / total, 1));
  }
  return { ...rows.finish(), dropped: work.dropped, sources };
}

interface Work extends PartOptions {
  /** The rows, where they are given. */
  given: GivenReader | undefined;
  carried: readonly string[];
  rows: TrainingRows;
  dropped: number;
  /** Entities of the next page. */
  entitiesAtOnce: number;
}

interface Entity {
  key: string;
  /** By source. */
  histories: ReadonlyMap<string, History>;
}

/** The entities of the rows, by their keys in order, a page at a time. */
async function* pagesOfKeys(tx: Transaction, work: Work): AsyncGenerator<string[]> {
  const { plan, share } = work;
  if ("given" in share) {
    const { keys } = share.given;
    for (let first = 0; first < keys.length;) {
      const page = keys.slice(first, first + work.entitiesAtOnce);
      first += page.length;
      yield page;
    }
    return;
  }
  const query = { entity: plan.entity, source: plan.spine!.source, upTo: share.upTo };
  for (let after = share.after;;) {
    const keys = await readKeysAfter(tx, { ...query, after, limit: work.entitiesAtOnce });
    if (keys.length === 0) return;
    yield keys;
    after = keys.at(-1)!;
  }
}

/** So many entities as have about {@link VALUES_AT_ONCE} values, going by those of a page. */
function entitiesAtOnce(plan: TrainingSetPlan, page: readonly Entity[]): number {
  let values = 0;
  for (const { histories } of page) {
    for (const [source, { length }] of histories) {
      values += length * Math.max(1, plan.layouts.get(source)!.fields.length);
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
): Promise<Entity[]> {
  const { entity, layouts, label } = plan;
  const last = given === undefined ? lastTime(request) : Math.max(...keys.map((key) => given.lastTime(key)));
  const until = last + (label?.withinMs ?? 0);
  const read = await Promise.all(
    [...layouts].map(async ([source, layout]) => {
      const { fields, filters } = layout;
      const needed = filters.length > 0 || fields.length > MAX_PICKED ? undefined : fields;
      const query = { entity, source, keys, fields: needed, until, layout };
      return { source, layout, byKey: await readLaidOutHistories(tx, query) };
    }),
  );
  return keys.map((key) => ({
    key,
    histories: new Map(
      read.map(({ source, layout, byKey }) => [source, byKey.get(key) ?? createHistory(layout, [])]),
    ),
  }));
}

function addEntity(work: Work, { key, histories }: Entity): void {
  const { plan, request, given, carried, rows } = work;
  const { features, label } = plan;
  const dataOf = new Map([...histories].map(([source, history]) => [source, { history }]));
  const isOnDemand = features.plan.request.size > 0;
  const clockMs = Date.parse(request.clock);
  const observed = given === undefined ? declaredRows(work, histories) : given.rows(key);
  let evaluated: { at: number; row: FeatureRow } | undefined;
  for (const row of observed) {
    const { at } = row;
    const mature = label === undefined || at + label.withinMs <= clockMs;
    if (!mature && request.immature === "drop") {
      work.dropped++;
      continue;
    }
    if (evaluated?.at !== at || isOnDemand) {
      const moment = { atMs: at, knownByMs: request.asKnown === "now" ? Infinity : at, request: asked(row) };
      evaluated = { at, row: features.plan.evaluate((view) => dataOf.get(view.source)!, moment) };
    }
    rows.add({
      entity: key,
      atMs: at,
      features: evaluated.row,
      label: labelOf(row, mature),
      mature,
      carried: carried.map((column) => row.read?.(column) ?? null),
      ...(row.place === undefined ? {} : { place: row.place }),
    });
  }

  function asked(row: ObservedRow): RequestValues {
    return Object.fromEntries(
      [...features.plan.request.keys()].map((name) => [name, row.read?.(name) ?? null]),
    );
  }

  function labelOf(row: ObservedRow, mature: boolean): FeatureValue {
    if (label !== undefined) return mature ? label.evaluate(histories.get(label.source)!, row.at) : null;
    const { label: declared } = request;
    return declared !== null && "column" in declared ? row.read?.(declared.column) ?? null : null;
  }
}

/** A declared row has nothing but its T. */
type ObservedRow = { at: number } & Partial<GivenRow>;

function* declaredRows(
  { plan, request }: Work,
  histories: ReadonlyMap<string, History>,
): Generator<ObservedRow> {
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
