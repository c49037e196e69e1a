/**
 * Mergeable partial aggregates. What a feature needs of the records of some span is a partial: it takes in records, and
 * what was kept of others before. Buckets are partials that are stored; a value is read from the partial of its window,
 * whether that was made of records, of buckets, or of both. There is no other aggregate code.
 *
 * No partial depends on the order in which its parts come.
 *
 * @module
 */
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import type { History } from "./history.ts";
import { NumbersPartial, SpreadPartial } from "./partial_numbers.ts";
import { EdgePartial, PresencePartial } from "./partial_times.ts";
import { ValuesPartial } from "./partial_values.ts";

const DAY_MS = 86_400_000;

/** What is kept of the records that pass a filter. `field` is a position in the layout of a source. */
export type Cell =
  /** How many, and when the first and the last one were. */
  | { kind: "presence" }
  /** Sum, least and largest of a field's numbers. */
  | { kind: "numbers"; field: number }
  /** What the deviation needs. */
  | { kind: "spread"; field: number }
  /** A field's values with their counts, up to a bound; then a sketch of them. */
  | { kind: "values"; field: number; exactUpTo: number; counted: boolean }
  /** Fields as they stand in the first or last record. */
  | { kind: "first" | "last"; fields: readonly number[] };

/** A partial as JSON, in a form that only its kind knows. */
export type PartialState = readonly unknown[];

export interface PartialAggregate {
  /** Takes in the records at some positions, ascending. */
  add(history: History, positions: Int32Array): void;
  /** Takes in what {@link state} gave for other records. */
  merge(state: PartialState): void;
  /** Null: it has taken in nothing. */
  state(): PartialState | null;
}

export function createPartial(cell: Cell): PartialAggregate {
  switch (cell.kind) {
    case "presence":
      return new PresencePartial();
    case "numbers":
      return new NumbersPartial(cell.field);
    case "spread":
      return new SpreadPartial(cell.field);
    case "values":
      return new ValuesPartial(cell);
    case "first":
    case "last":
      return new EdgePartial(cell);
  }
}

/** How a value is read from the partial of its cell. */
export type Reading =
  | { aggregate: "count" | "since_last" | "since_first" }
  | { aggregate: "rate"; periods: number }
  | {
    aggregate:
      | "sum"
      | "mean"
      | "min"
      | "max"
      | "deviation"
      | "distinct_count"
      | "most_frequent";
  }
  /** `place`: of the field in the cell. */
  | { aggregate: "first" | "last"; place: number };

/**
 * The value at T. Counts and sums of nothing are 0, everything else of nothing is null; so is what is no finite number.
 */
export function readPartial(partial: PartialAggregate, reading: Reading, atMs: number): FeatureValue {
  const value = read(partial, reading, atMs);
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}

/** Whether the partial holds more distinct values than it counts exactly. */
export function isApproximate(partial: PartialAggregate): boolean {
  return partial instanceof ValuesPartial && partial.approximate;
}

function read(partial: PartialAggregate, reading: Reading, at: number): FeatureValue {
  if (partial instanceof PresencePartial) {
    switch (reading.aggregate) {
      case "count":
        return partial.count;
      case "rate":
        return partial.count / reading.periods;
      case "since_last":
        return partial.count === 0 ? null : (at - partial.last) / DAY_MS;
      case "since_first":
        return partial.count === 0 ? null : (at - partial.first) / DAY_MS;
    }
  } else if (partial instanceof NumbersPartial) {
    switch (reading.aggregate) {
      case "sum":
        return partial.sum();
      case "mean":
        return partial.count === 0 ? null : partial.sum() / partial.count;
      case "min":
        return partial.min;
      case "max":
        return partial.max;
    }
  } else if (partial instanceof SpreadPartial) {
    return partial.deviation();
  } else if (partial instanceof EdgePartial) {
    if ("place" in reading) return partial.value(reading.place);
  } else if (partial instanceof ValuesPartial) {
    return reading.aggregate === "distinct_count" ? partial.distinct() : partial.mostFrequent();
  }
  throw new TypeError(`The aggregate ${reading.aggregate} cannot be read from this partial`);
}
