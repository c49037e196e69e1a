import type { FeatureValue, ViewBody } from "shared/contracts/feature_store.ts";
import { durationToMs } from "shared/contracts/time.ts";
import {
  type BucketRange,
  type Buckets,
  type Cover,
  coverWindow,
  mergeRanges,
  rangesChangeAt,
  rangesOf,
  type Sight,
} from "./buckets.ts";
import type { History, LayoutBuilder } from "./history.ts";
import {
  type Cell,
  createPartial,
  isApproximate,
  type PartialAggregate,
  type Reading,
  readPartial,
} from "./partial.ts";
import { PresencePartial } from "./partial_times.ts";
import { newestTime, selectRecords } from "./selection.ts";
import { windowStart } from "./time_grid.ts";
import {
  isSameCell,
  LIFETIME,
  type NamedCell,
  planStorage,
  presenceOf,
  type ViewStorage,
  type Window,
} from "./view_storage.ts";

/** What is known of an entity in a view. */
export interface ViewData {
  /**
   * Its records: all of them, or with buckets those that the buckets do not answer for ({@link ViewPlan.recordsAfter}).
   */
  history: History;
  /** Absent: everything is computed from records. */
  buckets?: Buckets | undefined;
}

/** The aggregates of a version of a view that are asked for, compiled. */
export interface ViewPlan {
  readonly name: string;
  readonly version: number;
  readonly entity: string;
  readonly source: string;
  readonly ttlMs: number | null;
  /** Where the longest window that ends at T begins; -Infinity when one has no beginning. */
  reachesBack(atMs: number): number;
  /** The buckets that a read at T is made of. */
  ranges(atMs: number): BucketRange[];
  /** The first time after T at which those are others. */
  rangesChangeAt(atMs: number): number;
  /** After which time the records are needed besides those buckets; undefined: none are. */
  recordsAfter(buckets: Buckets, sight: Sight): number | undefined;
  /** Writes the aggregates to their places. What is absent is left as it is. */
  evaluate(data: ViewData, sight: Sight, values: Values): Absence | undefined;
}

/** The entity has no record by T, or its newest is older than the TTL: every value is null. */
export type Absence = "NOT_FOUND" | "EXPIRED";

/** An aggregate that is asked for, and where its value goes. */
export interface AskedAggregate {
  /** Its name in the view: a feature that is no expression. */
  feature: string;
  place: number;
}

/** Values by their places. */
export interface Values {
  values: FeatureValue[];
  /** Event time of the newest record behind each. */
  eventTimes: (number | null)[];
  approximate: Set<number>;
}

/** @param places how many there are; nothing is in them */
export function noValues(places: number): Values {
  return {
    values: new Array<null>(places).fill(null),
    eventTimes: new Array<null>(places).fill(null),
    approximate: new Set(),
  };
}

export function clear({ values, eventTimes, approximate }: Values): void {
  values.fill(null);
  eventTimes.fill(null);
  approximate.clear();
}

/** Records that several features look at: those of one window that pass one filter. */
interface Slice {
  window: Window | null;
  ladder: readonly number[];
  filter: number;
  /** What is asked of them, presence first. */
  cells: {
    named: NamedCell;
    cell: Cell;
    /** Of several fields: those that are asked for. */
    read: Set<number>;
    /** Where each level keeps it. */
    places: ReadonlyMap<number, number>;
  }[];
  /** What is read from the partials of the cells, and where it goes. */
  readings: { cell: number; reading: Reading; place: number }[];
}

/**
 * Compiles aggregates of a view into the layout of its source.
 *
 * @throws {AppError} `invalid` when a filter does not compile
 */
export function planView(
  view: { name: string; version: number; body: ViewBody },
  asked: readonly AskedAggregate[],
  layout: LayoutBuilder,
): ViewPlan {
  const { name, version, body } = view;
  const storage = planStorage(body);
  const slices: Slice[] = [];
  for (const { feature, place } of asked) {
    const { window, cell, reading } = storage.aggregates.get(feature)!;
    const slice = sliceOf(window, cell);
    slice.readings.push({ cell: cellOf(slice, cell, reading), reading, place });
  }
  const ttlMs = body.ttl === null ? null : durationToMs(body.ttl);

  return {
    name,
    version,
    entity: body.entity,
    source: body.source,
    ttlMs,
    reachesBack: (at) => Math.min(at, ...slices.map(({ window }) => windowStart(at, window))),
    ranges: (at) =>
      mergeRanges([
        ...rangesOf(null, [], at),
        ...slices.flatMap(({ window, ladder }) => rangesOf(window, ladder, at)),
      ]),
    rangesChangeAt: (at) =>
      Math.min(...slices.map(({ window, ladder }) => rangesChangeAt(window, ladder, at))),
    recordsAfter,
    evaluate,
  };

  function sliceOf(window: Window | null, { filter: source }: NamedCell): Slice {
    const filter = source === undefined ? -1 : layout.filter(source);
    const known = slices.find((slice) =>
      slice.filter === filter && slice.window?.lengthMs === window?.lengthMs
    );
    if (known !== undefined) return known;
    const slice: Slice = { window, ladder: storage.ladder(window), filter, cells: [], readings: [] };
    cellOf(slice, presenceOf({ filter: source, kind: "presence" }), { aggregate: "count" });
    slices.push(slice);
    return slice;
  }

  function cellOf(slice: Slice, named: NamedCell, reading: Reading): number {
    const known = slice.cells.findIndex((cell) => isSameCell(cell.named, named));
    const index = known >= 0 ? known : slice.cells.push(newCell(slice, named)) - 1;
    const cell = slice.cells[index]!;
    if ("place" in reading) cell.cell = layOut(named, layout, cell.read.add(reading.place));
    return index;
  }

  function newCell({ ladder }: Slice, named: NamedCell): Slice["cells"][number] {
    const read = new Set<number>();
    const places = new Map(ladder.map((size) => [size, placeOf(storage, size, named)]));
    return { named, cell: layOut(named, layout, read), read, places };
  }

  function recordsAfter(buckets: Buckets, sight: Sight): number | undefined {
    const starts = slices.flatMap((slice) =>
      coverWindow(slice, buckets, sight).spans.map(({ afterMs }) => afterMs)
    );
    const [lifetime] = buckets.level(LIFETIME);
    if (lifetime !== undefined && coverWindow(WHOLE, buckets, sight).spans.length > 0) {
      starts.push(sight.atMs);
    }
    return starts.length === 0 ? undefined : Math.min(...starts);
  }

  function evaluate({ history, buckets }: ViewData, sight: Sight, values: Values): Absence | undefined {
    const whole = coverWindow(WHOLE, buckets, sight);
    const newest = newestOf(history, whole, sight);
    if (newest === undefined) return "NOT_FOUND";
    if (ttlMs !== null && sight.atMs - newest > ttlMs) return "EXPIRED";
    for (const slice of slices) {
      const cover = slice.window === null ? whole : coverWindow(slice, buckets, sight);
      readSlice(slice, aggregateSlice(slice, cover, { history, sight }), { atMs: sight.atMs, values });
    }
    return undefined;
  }
}

const WHOLE = { window: null, ladder: [LIFETIME] } as const;

/** The partials of the cells of a slice, from buckets where they may be used and from records everywhere else. */
function aggregateSlice(
  slice: Slice,
  cover: Cover,
  { history, sight }: { history: History; sight: Sight },
): PartialAggregate[] {
  const selected = cover.spans.map(({ afterMs, untilMs }) =>
    selectRecords(history, { after: afterMs, until: untilMs, knownBy: sight.knownByMs, filter: slice.filter })
  );
  return slice.cells.map(({ cell, places }) => {
    const partial = createPartial(cell);
    mergeBuckets(partial, cover, places);
    for (const positions of selected) partial.add(history, positions);
    return partial;
  });
}

function mergeBuckets(partial: PartialAggregate, cover: Cover, places: ReadonlyMap<number, number>): void {
  for (const { sizeMs, bucket } of cover.buckets) {
    const state = bucket.cells[places.get(sizeMs)!];
    if (state) partial.merge(state);
  }
}

function readSlice(
  { readings }: Slice,
  partials: readonly PartialAggregate[],
  { atMs, values }: { atMs: number; values: Values },
): void {
  const presence = partials[0] as PresencePartial;
  const eventTime = presence.count === 0 ? null : presence.last;
  for (const { cell, reading, place } of readings) {
    const partial = partials[cell]!;
    values.values[place] = readPartial(partial, reading, atMs);
    values.eventTimes[place] = eventTime;
    if (isApproximate(partial)) values.approximate.add(place);
  }
}

/** Event time of the entity's newest record; undefined without one. */
function newestOf(
  history: History,
  { buckets: [lifetime], spans }: Cover,
  { atMs, knownByMs }: Sight,
): number | undefined {
  if (spans.length > 0) return newestTime(history, atMs, knownByMs);
  const presence = new PresencePartial();
  const state = lifetime?.bucket.cells[0];
  if (state) presence.merge(state);
  return presence.count === 0 ? undefined : presence.last;
}

function placeOf(storage: ViewStorage, sizeMs: number, named: NamedCell): number {
  const level = storage.levels.find((level) => level.sizeMs === sizeMs)!;
  return level.cells.findIndex((cell) => isSameCell(cell, named));
}

/** Of a field that nobody asks for. */
const NOT_READ = -1;

/**
 * A cell with the positions of its fields in a layout.
 *
 * @param read which of several fields are; default: all of them
 * @throws {AppError} `invalid` when its filter does not compile
 */
export function layOut(named: NamedCell, layout: LayoutBuilder, read?: ReadonlySet<number>): Cell {
  if (named.kind === "presence") return named;
  if (!("fields" in named)) return { ...named, field: layout.field(named.field) };
  const fields = named.fields.map((field, place) =>
    read?.has(place) ?? true ? layout.field(field) : NOT_READ
  );
  return { ...named, fields };
}
