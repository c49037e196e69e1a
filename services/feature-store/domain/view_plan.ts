import type { FeatureValue, ViewBody } from "shared/contracts/feature_store.ts";
import { durationToMs } from "shared/contracts/time.ts";
import {
  type BucketRange,
  type Buckets,
  type Cover,
  coverWindow,
  mergeRanges,
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
  aggregateOf,
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
  /** After which time the records are needed besides those buckets; undefined: none are. */
  recordsAfter(buckets: Buckets, sight: Sight): number | undefined;
  /** The aggregates in the order asked. */
  evaluate(data: ViewData, sight: Sight): ViewValues;
}

export interface ViewValues {
  /** The entity has no record by T, or its newest is older than the TTL: every value is null. */
  absent: "NOT_FOUND" | "EXPIRED" | undefined;
  values: AggregateValue[];
}

export interface AggregateValue {
  value: FeatureValue;
  /** Event time of the newest record behind it. */
  eventTime: number | null;
  approximate: boolean;
}

const NOTHING: AggregateValue = { value: null, eventTime: null, approximate: false };

/** Records that several features look at: those of one window that pass one filter. */
interface Slice {
  window: Window | null;
  ladder: readonly number[];
  filter: number;
  /** What is asked of them, presence first. */
  cells: {
    named: NamedCell;
    cell: Cell; /** Where each level keeps it. */
    places: ReadonlyMap<number, number>;
  }[];
}

/**
 * Compiles aggregates of a view into the layout of its source.
 *
 * @param asked names of features that are no expressions
 * @throws {AppError} `invalid` when a filter does not compile
 */
export function planView(
  view: { name: string; version: number; body: ViewBody },
  asked: readonly string[],
  layout: LayoutBuilder,
): ViewPlan {
  const { name, version, body } = view;
  const storage = planStorage(body);
  const slices: Slice[] = [];
  const steps = asked.map((feature) => {
    const { window, cell, reading } = aggregateOf(body.features[feature]!, body.hop)!;
    const slice = sliceOf(window, cell);
    return { slice, cell: cellOf(slices[slice]!, cell), reading };
  });
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
    recordsAfter,
    evaluate,
  };

  function sliceOf(window: Window | null, { filter: source }: NamedCell): number {
    const filter = source === undefined ? -1 : layout.filter(source);
    const known = slices.findIndex((slice) =>
      slice.filter === filter && slice.window?.lengthMs === window?.lengthMs
    );
    if (known >= 0) return known;
    const slice: Slice = { window, ladder: storage.ladder(window), filter, cells: [] };
    cellOf(slice, presenceOf({ filter: source, kind: "presence" }));
    return slices.push(slice) - 1;
  }

  function cellOf(slice: Slice, named: NamedCell): number {
    const known = slice.cells.findIndex((cell) => isSameCell(cell.named, named));
    if (known >= 0) return known;
    const places = new Map(slice.ladder.map((size) => [size, placeOf(storage, size, named)]));
    return slice.cells.push({ named, cell: layOut(named, layout), places }) - 1;
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

  function evaluate({ history, buckets }: ViewData, sight: Sight): ViewValues {
    const newest = newestOf(history, buckets, sight);
    if (newest === undefined) return { absent: "NOT_FOUND", values: asked.map(() => NOTHING) };
    if (ttlMs !== null && sight.atMs - newest > ttlMs) {
      return { absent: "EXPIRED", values: asked.map(() => NOTHING) };
    }
    const partials = slices.map((slice) => aggregateSlice(slice, { history, buckets }, sight));
    const values = steps.map(({ slice, cell, reading }) =>
      toValue(partials[slice]!, { cell, reading, atMs: sight.atMs })
    );
    return { absent: undefined, values };
  }
}

const WHOLE = { window: null, ladder: [LIFETIME] } as const;

/** The partials of the cells of a slice, from buckets where they may be used and from records everywhere else. */
function aggregateSlice(slice: Slice, { history, buckets }: ViewData, sight: Sight): PartialAggregate[] {
  const cover = coverWindow(slice, buckets, sight);
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

function toValue(
  partials: readonly PartialAggregate[],
  { cell, reading, atMs }: { cell: number; reading: Reading; atMs: number },
): AggregateValue {
  const presence = partials[0] as PresencePartial;
  const partial = partials[cell]!;
  return {
    value: readPartial(partial, reading, atMs),
    eventTime: presence.count === 0 ? null : presence.last,
    approximate: isApproximate(partial),
  };
}

/** Event time of the entity's newest record; undefined without one. */
function newestOf(history: History, buckets: Buckets | undefined, sight: Sight): number | undefined {
  const { atMs, knownByMs } = sight;
  if (buckets === undefined) return newestTime(history, atMs, knownByMs);
  const { buckets: [lifetime], spans } = coverWindow(WHOLE, buckets, sight);
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

/** A cell with the positions of its field in a layout. @throws {AppError} `invalid` when its filter does not compile */
export function layOut(named: NamedCell, layout: LayoutBuilder): Cell {
  return named.kind === "presence" ? named : { ...named, field: layout.field(named.field) };
}
