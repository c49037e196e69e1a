import type { FeatureValue } from "shared/contracts/feature_store.ts";
import { exactSum } from "./exact_sum.ts";
import type { History, Numbers } from "./history.ts";

const DAY_MS = 86_400_000;

/** One aggregate over selected records; `field` is a position in the layout, absent where none is read. */
export type Aggregate =
  | { kind: "count" | "since_last" | "since_first" }
  | {
    kind: "sum" | "mean" | "min" | "max" | "deviation" | "distinct_count" | "first" | "last";
    field: number;
  };

/**
 * The value of an aggregate at T over the records at `positions`, which are ordered by (event time, id).
 *
 * Counts and sums of nothing are 0; the other aggregates of nothing are null. `sum`, `mean`, `min`, `max` and
 * `deviation` read numbers, and booleans as 0 and 1, and pass over everything else. `deviation` is the sample
 * standard deviation (n - 1), null below two values. `first` and `last` give the field as it stands in the first
 * or last record, null included; what is neither text, number nor boolean gives null.
 */
export function aggregateValue(
  aggregate: Aggregate,
  history: History,
  { positions, at }: { positions: Int32Array; at: number },
): FeatureValue {
  switch (aggregate.kind) {
    case "count":
      return positions.length;
    case "since_last":
      return daysSince(history, positions[positions.length - 1], at);
    case "since_first":
      return daysSince(history, positions[0], at);
    case "first":
      return scalar(history.values(aggregate.field), positions[0]);
    case "last":
      return scalar(history.values(aggregate.field), positions[positions.length - 1]);
    case "distinct_count":
      return history.codes(aggregate.field).countDistinct(positions);
    default: {
      const numbers = history.numbers(aggregate.field);
      const value = numericAggregate(aggregate.kind, numbers, withNumbers(numbers, positions));
      return value !== null && Number.isFinite(value) ? value : null;
    }
  }
}

function numericAggregate(
  kind: "sum" | "mean" | "min" | "max" | "deviation",
  numbers: Numbers,
  positions: Int32Array,
): number | null {
  if (kind === "sum") return exactSum(numbers, positions);
  if (positions.length === 0) return null;
  const { values } = numbers;
  switch (kind) {
    case "mean":
      return exactSum(numbers, positions) / positions.length;
    case "min":
      return positions.reduce((least, position) => Math.min(least, values[position]!), Infinity);
    case "max":
      return positions.reduce((most, position) => Math.max(most, values[position]!), -Infinity);
    case "deviation":
      return sampleDeviation(numbers, positions);
  }
}

/** Two passes: the difference of large sums would lose what the values have in common. */
function sampleDeviation(numbers: Numbers, positions: Int32Array): number | null {
  if (positions.length < 2) return null;
  const mean = exactSum(numbers, positions) / positions.length;
  const squares = positions.reduce((sum, position) => sum + (numbers.values[position]! - mean) ** 2, 0);
  return Math.sqrt(squares / (positions.length - 1));
}

/** The positions that hold a number. */
export function withNumbers(numbers: Numbers, positions: Int32Array): Int32Array {
  if (numbers.complete) return positions;
  return positions.filter((position) => !Number.isNaN(numbers.values[position]!));
}

function daysSince(history: History, position: number | undefined, at: number): number | null {
  return position === undefined ? null : (at - history.times[position]!) / DAY_MS;
}

function scalar(values: readonly unknown[], position: number | undefined): FeatureValue {
  return position === undefined ? null : toFeatureValue(values[position]);
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
