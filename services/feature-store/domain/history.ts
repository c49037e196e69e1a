/**
 * The records of one entity from one source, laid out as columns, so that a value at T touches only the fields and
 * filters it needs. Everything that is costly for each record (filters, numbers, distinct codes) is done once a
 * record, however many features and times are asked.
 *
 * @module
 */
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import { compileExpression, type Expression } from "shared/expressions/cel.ts";
import { type Terms, toScaled } from "./exact_sum.ts";
import { compareText } from "./text_order.ts";

/** When a record happened and became known, and which event it is of. Times are milliseconds since 1970. */
export interface RecordStamp {
  time: number;
  knownAt: number;
  id: string;
  /** The version of the cleaning that made it. */
  definition: number;
  /** This version says that there is no such record (of this entity, at this time): earlier ones stop counting. */
  retracted?: boolean;
  /** Canonical entity key, where there are records of several entities. */
  key?: string;
}

/** A clean record of an entity. */
export interface EntityRecord extends RecordStamp {
  data: DataRecord;
}

/** The order in which histories are made: by key where there is one, event time, id and definition. */
export function compareRecords(a: EntityRecord, b: EntityRecord): number {
  return compareText(a.key ?? "", b.key ?? "") || a.time - b.time || compareText(a.id, b.id) ||
    a.definition - b.definition;
}

/** Which fields and filters of a source's records are needed; features refer to them by position. */
export interface Layout {
  readonly fields: readonly string[];
  readonly filters: readonly Expression[];
}

/** Collects what is needed from a source. The same field or filter, asked for twice, has one position. */
export interface LayoutBuilder extends Layout {
  field(name: string): number;
  filter(source: string): number;
}

export function createLayout(): LayoutBuilder {
  const fields: string[] = [];
  const filters: Expression[] = [];
  return {
    fields,
    filters,
    field: (name) => fields.includes(name) ? fields.indexOf(name) : fields.push(name) - 1,
    filter(source) {
      const known = filters.findIndex((filter) => filter.source === source);
      return known >= 0 ? known : filters.push(compileFilter(source)) - 1;
    },
  };
}

/** A filter over a record `e`. @throws {AppError} `invalid` when it can't be compiled */
export function compileFilter(source: string): Expression {
  return compileExpression(source, { variables: { e: "map" }, gives: "boolean" });
}

/** What records hold. */
export interface RecordFields {
  /** A field of a record; null as well for what no feature may be. */
  value(field: number, position: number): FeatureValue;
}

export interface History extends RecordFields {
  readonly length: number;
  /** Event times, ascending. */
  readonly times: Float64Array;
  readonly knownAt: Float64Array;
  readonly ids: readonly string[];
  /** 1 where a record is another version of the event just before it. Absent where there is none. */
  readonly revises: Uint8Array | undefined;
  /** 1 where a record says that the event is none. Absent where there is none. */
  readonly retracted: Uint8Array | undefined;
  /** Newest event time before the first record here, when older records exist that were not loaded. */
  readonly newestBefore: number | undefined;
  /** @param filter -1: every record */
  lane(filter: number): Lane;
  numbers(field: number): Numbers;
}

/** The records that pass a filter. */
export interface Lane {
  /** Positions in the history. */
  readonly positions: Int32Array;
  readonly times: Float64Array;
  /** When the last of the records up to each became known. */
  readonly allKnownAt: Float64Array;
}

/** A field as numbers: finite ones as they are, booleans as 0 and 1, anything else NaN. */
export interface Numbers extends Terms {
  readonly values: Float64Array;
  readonly scaled: Float64Array;
  /** No NaN is among them. */
  readonly complete: boolean;
}

/**
 * @param records ordered by event time, id and definition
 * @param options.newestBefore newest event time of older records that were left out; default: there are none
 */
export function createHistory(
  layout: Layout,
  records: readonly EntityRecord[],
  options: { newestBefore?: number | undefined } = {},
): History {
  const value = (field: number, position: number) =>
    toFeatureValue(records[position]!.data[layout.fields[field]!]);
  return layOutHistory(
    layout,
    { stamps: records, value, data: (position) => records[position]!.data },
    options,
  );
}

/** Records that were laid out as they were read. */
export interface LaidOutRecords extends RecordFields {
  /** Ordered by event time, id and definition. */
  stamps: readonly RecordStamp[];
  /** A whole record, for filters. */
  data(position: number): DataRecord;
}

export function layOutHistory(
  layout: Layout,
  { stamps, value, data }: LaidOutRecords,
  options: { newestBefore?: number | undefined } = {},
): History {
  const times = new Float64Array(stamps.length);
  const knownAt = new Float64Array(stamps.length);
  const there = new Int32Array(stamps.length);
  let thereAre = 0;
  for (let position = 0; position < stamps.length; position++) {
    const stamp = stamps[position]!;
    times[position] = stamp.time;
    knownAt[position] = stamp.knownAt;
    if (stamp.retracted !== true) there[thereAre++] = position;
  }
  const passing = (filter: number) => {
    const all = there.subarray(0, thereAre);
    const expression = layout.filters[filter];
    return expression === undefined ? all : all.filter((position) => holds(expression, data(position)));
  };
  return {
    length: stamps.length,
    times,
    knownAt,
    ids: stamps.map(({ id }) => id),
    revises: findRevisions(stamps),
    retracted: findRetractions(stamps),
    newestBefore: options.newestBefore,
    lane: memoized((filter) => createLane({ times, knownAt }, passing(filter))),
    value,
    numbers: memoized((field) => toNumbers(stamps.length, (position) => value(field, position))),
  };
}

/** Made at the first call for a position, and kept. */
function memoized<T>(make: (position: number) => T): (position: number) => T {
  const made = new Map<number, T>();
  return (position) => {
    const known = made.get(position);
    if (known !== undefined) return known;
    const fresh = make(position);
    made.set(position, fresh);
    return fresh;
  };
}

function createLane(all: Pick<History, "times" | "knownAt">, positions: Int32Array): Lane {
  const times = new Float64Array(positions.length);
  const allKnownAt = new Float64Array(positions.length);
  let latest = -Infinity;
  positions.forEach((position, index) => {
    latest = Math.max(latest, all.knownAt[position]!);
    times[index] = all.times[position]!;
    allKnownAt[index] = latest;
  });
  return { positions, times, allKnownAt };
}

/** A filter that gives null, or cannot be computed from a record (text times a number), does not hold for it. */
function holds(filter: Expression, data: DataRecord): boolean {
  try {
    return filter.evaluate({ e: data }) === true;
  } catch (error) {
    if (error instanceof AppError && error.code === "unprocessable") return false;
    throw error;
  }
}

function findRevisions(records: readonly RecordStamp[]): Uint8Array | undefined {
  let revises: Uint8Array | undefined;
  for (let index = 1; index < records.length; index++) {
    const [before, record] = [records[index - 1]!, records[index]!];
    if (record.time !== before.time || record.id !== before.id || record.key !== before.key) continue;
    revises ??= new Uint8Array(records.length);
    revises[index] = 1;
  }
  return revises;
}

function findRetractions(records: readonly RecordStamp[]): Uint8Array | undefined {
  if (!records.some(({ retracted }) => retracted)) return undefined;
  return Uint8Array.from(records, ({ retracted }) => retracted ? 1 : 0);
}

function toNumbers(length: number, valueAt: (position: number) => FeatureValue): Numbers {
  const values = new Float64Array(length);
  const scaled = new Float64Array(length);
  let complete = true;
  for (let position = 0; position < length; position++) {
    const number = toNumber(valueAt(position));
    values[position] = number;
    scaled[position] = toScaled(number);
    if (Number.isNaN(number)) complete = false;
  }
  return { values, scaled, complete };
}

function toNumber(value: FeatureValue): number {
  return typeof value === "number" || typeof value === "boolean" ? Number(value) : NaN;
}

/** A value as a feature may have it; null for what it may not be. */
export function toFeatureValue(value: unknown): FeatureValue {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : null;
    default:
      return null;
  }
}
