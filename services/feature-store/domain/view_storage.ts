/**
 * What is kept of a view's records besides the records: buckets of partial aggregates, at as many levels (lengths of
 * buckets) as its windows need, and one bucket over the lifetime of each entity.
 *
 * @module
 */
import type { Feature, ViewBody } from "shared/contracts/feature_store.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { compileFilter } from "./history.ts";
import type { Reading } from "./partial.ts";
import { defaultHopMs } from "./time_grid.ts";

export interface Window {
  readonly lengthMs: number;
  readonly hopMs: number;
}

/** A cell by the names that a definition uses; its filter is CEL, undefined: every record. */
export type NamedCell =
  & { filter: string | undefined }
  & (
    | { kind: "presence" }
    | { kind: "numbers" | "spread"; field: string }
    /** All fields of a view whose first or last value is asked for: they stand in one record. */
    | { kind: "first" | "last"; fields: readonly string[] }
    | { kind: "values"; field: string; exactUpTo: number; counted: boolean }
  );

/** A feature that is computed from records: a reading of a cell of those in its window (null: the lifetime). */
export interface AggregateDefinition {
  window: Window | null;
  cell: NamedCell;
  reading: Reading;
}

/** The buckets of one length; each covers (start, start + size], its start on the grid of windows. */
export interface Level {
  /** Infinity: the one bucket over the lifetime. */
  readonly sizeMs: number;
  readonly cells: readonly NamedCell[];
}

export interface ViewStorage {
  /** The features that are computed from records, by name. */
  readonly aggregates: ReadonlyMap<string, AggregateDefinition>;
  /** By size; the last one is the lifetime's, whose first cell tells whether the entity is there at all. */
  readonly levels: readonly Level[];
  /** Sizes of the levels that a window is read from, ascending; each is a multiple of the one before. */
  ladder(window: Window | null): readonly number[];
}

export const LIFETIME = Infinity;

/** A window is read from at most about so many buckets of a level before a coarser one is kept too. */
const MOST_BUCKETS = 400;
const STEP = 32;

/** Whether the entity has records at all, and since when and until when. */
const ANY_RECORD: NamedCell = { filter: undefined, kind: "presence" };

export function planStorage(body: ViewBody): ViewStorage {
  const aggregates = aggregatesOf(body);
  const ladders = new Map<string, readonly number[]>();
  const levels = new Map<number, NamedCell[]>([[LIFETIME, [ANY_RECORD]]]);
  const windows = [...aggregates.values()].flatMap(({ window }) => window ?? []);
  for (const window of windows.toSorted((a, b) => a.lengthMs - b.lengthMs)) {
    const key = keyOf(window);
    if (ladders.has(key)) continue;
    const ladder = ladderOf(window, [...levels.keys()]);
    ladders.set(key, ladder);
    for (const size of ladder) if (!levels.has(size)) levels.set(size, []);
  }
  const ladder = (window: Window | null) => window === null ? [LIFETIME] : ladders.get(keyOf(window))!;
  for (const { window, cell } of aggregates.values()) {
    for (const size of ladder(window)) {
      const cells = levels.get(size)!;
      for (const needed of [presenceOf(cell), cell]) {
        if (!cells.some((known) => isSameCell(known, needed))) cells.push(needed);
      }
    }
  }
  return {
    aggregates,
    levels: [...levels].map(([sizeMs, cells]) => ({ sizeMs, cells })).sort((a, b) => a.sizeMs - b.sizeMs),
    ladder,
  };
}

/** The fields of records that features of a view read, in their filters too. */
export function fieldsOf(body: ViewBody): Set<string> {
  const fields = new Set<string>();
  for (const { cell } of aggregatesOf(body).values()) {
    for (const field of fieldsOfCell(cell)) fields.add(field);
    const filter = cell.filter === undefined ? undefined : compileFilter(cell.filter);
    for (const field of filter?.reads["e"] ?? []) fields.add(field);
  }
  return fields;
}

export function fieldsOfCell(cell: NamedCell): readonly string[] {
  if ("fields" in cell) return cell.fields;
  return cell.kind === "presence" ? [] : [cell.field];
}

/** Every value tells when its newest record was. */
export function presenceOf({ filter }: NamedCell): NamedCell {
  return { filter, kind: "presence" };
}

export function isSameCell(a: NamedCell, b: NamedCell): boolean {
  return cellKey(a) === cellKey(b);
}

function cellKey(cell: NamedCell): string {
  const { exactUpTo = null, counted = null } = cell.kind === "values" ? cell : {};
  return JSON.stringify([cell.kind, cell.filter ?? null, fieldsOfCell(cell), exactUpTo, counted]);
}

type Aggregate = Exclude<Feature, { expression: string }>;

function aggregatesOf(
  { features, hop }: Pick<ViewBody, "features" | "hop">,
): Map<string, AggregateDefinition> {
  const aggregates = Object.entries(features)
    .flatMap(([name, feature]) => "expression" in feature ? [] : [[name, feature] as const]);
  const edges = new Map<string, string[]>();
  for (const [, feature] of aggregates) {
    if (feature.aggregate !== "first" && feature.aggregate !== "last") continue;
    const fields = edges.get(edgeKey(feature)) ?? [];
    edges.set(edgeKey(feature), fields);
    if (!fields.includes(feature.field)) fields.push(feature.field);
  }
  return new Map(aggregates.map(([name, feature]) => {
    const window = feature.window === null ? null : windowOf(feature.window, hop);
    return [name, { window, ...readingOf(feature, edges.get(edgeKey(feature)) ?? []) }];
  }));
}

function edgeKey({ aggregate, where }: Aggregate): string {
  return JSON.stringify([aggregate, where ?? null]);
}

/** @param edges of a `first` or `last`: the fields of its cell */
function readingOf(
  feature: Aggregate,
  edges: readonly string[],
): Pick<AggregateDefinition, "cell" | "reading"> {
  const { aggregate, where: filter } = feature;
  switch (aggregate) {
    case "count":
    case "since_last":
    case "since_first":
      return { cell: { filter, kind: "presence" }, reading: { aggregate } };
    case "rate": {
      const periods = durationToMs(feature.window) / durationToMs(feature.per);
      return { cell: { filter, kind: "presence" }, reading: { aggregate, periods } };
    }
    case "sum":
    case "mean":
    case "min":
    case "max":
      return { cell: { filter, kind: "numbers", field: feature.field }, reading: { aggregate } };
    case "deviation":
      return { cell: { filter, kind: "spread", field: feature.field }, reading: { aggregate } };
    case "first":
    case "last": {
      const place = edges.indexOf(feature.field);
      return { cell: { filter, kind: aggregate, fields: edges }, reading: { aggregate, place } };
    }
    case "distinct_count":
    case "most_frequent": {
      const { field, exactUpTo } = feature;
      const counted = aggregate === "most_frequent";
      return { cell: { filter, kind: "values", field, exactUpTo, counted }, reading: { aggregate } };
    }
  }
}

function windowOf(length: string, hop: string | undefined): Window {
  const lengthMs = durationToMs(length);
  return { lengthMs, hopMs: hop === undefined ? defaultHopMs(lengthMs) : durationToMs(hop) };
}

/** A level that is there already, where its buckets fit the hop and are not too many; else one of its own. */
function ladderOf({ lengthMs, hopMs }: Window, sizes: readonly number[]): readonly number[] {
  const fitting = sizes.filter((size) => hopMs % size === 0 && lengthMs / size <= MOST_BUCKETS);
  if (fitting.length > 0) return [Math.max(...fitting)];
  const ladder = [hopMs];
  while (lengthMs / ladder.at(-1)! > MOST_BUCKETS) ladder.push(ladder.at(-1)! * STEP);
  return ladder;
}

function keyOf({ lengthMs, hopMs }: Window): string {
  return `${lengthMs}/${hopMs}`;
}
