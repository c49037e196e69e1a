import type { FeatureRow } from "./feature_plan.ts";
import { AppError } from "shared/errors.ts";

/** Columns that grow by the row, in the order in which entities are read, and are put in order at the end. */
export interface TrainingRows {
  readonly length: number;
  readonly immature: number;
  /** @param label null: not known yet at the clock, T + within lies after it */
  add(row: { entity: string; atMs: number; features: FeatureRow; label: number | null }): void;
  /** Where each row goes: by T, then by the order in which entities were added. */
  order(): Uint32Array;
  entities(order: Uint32Array): string[];
  times(order: Uint32Array): Float64Array;
  labels(order: Uint32Array): Float64Array;
  /** Numbers, booleans as 0 and 1; NaN is null. */
  feature(index: number, order: Uint32Array): Float64Array;
}

/**
 * @param features `view.feature`, one column each
 * @param options.maxCells rows times features that may be held; more is an error
 */
export function createTrainingRows(
  features: readonly string[],
  options: { maxCells: number },
): TrainingRows {
  const entities: string[] = [];
  /** Row -> position in `entities`. */
  const entityOf = createColumn();
  const times = createColumn();
  const labels = createColumn();
  const columns = features.map(createColumn);
  let immature = 0;

  return {
    get length() {
      return times.length;
    },
    get immature() {
      return immature;
    },
    add({ entity, atMs, features: { values }, label }) {
      if ((times.length + 1) * features.length > options.maxCells) {
        throw new AppError(
          "too_large",
          `Cannot build the training set: it has more than ${times.length} rows of ${features.length} features, ` +
            `at most ${options.maxCells} values are held; ask for a shorter time, fewer features or rarer ticks`,
        );
      }
      if (entities.at(-1) !== entity) entities.push(entity);
      entityOf.push(entities.length - 1);
      times.push(atMs);
      labels.push(label ?? NaN);
      if (label === null) immature++;
      columns.forEach((column, index) => column.push(toNumber(values[index] ?? null, features[index]!)));
    },
    order: () => orderByTime(times.values()),
    entities: (order) => Array.from(order, (row) => entities[entityOf.values()[row]!]!),
    times: (order) => reorder(times.values(), order),
    labels: (order) => reorder(labels.values(), order),
    feature: (index, order) => reorder(columns[index]!.values(), order),
  };
}

function toNumber(value: FeatureRow["values"][number], feature: string): number {
  if (value === null) return NaN;
  if (typeof value === "string") {
    throw new AppError(
      "unprocessable",
      `Cannot build the training set: the feature "${feature}" is the text ${
        JSON.stringify(value)
      } for an entity, ` +
        "a training set holds numbers and booleans",
    );
  }
  return Number(value);
}

interface Column {
  readonly length: number;
  push(value: number): void;
  /** A view of what is there; the next push may leave it behind. */
  values(): Float64Array;
}

function createColumn(): Column {
  let cells = new Float64Array(1_024);
  let length = 0;
  return {
    get length() {
      return length;
    },
    push(value) {
      if (length === cells.length) {
        const larger = new Float64Array(length * 2);
        larger.set(cells);
        cells = larger;
      }
      cells[length++] = value;
    },
    values: () => cells.subarray(0, length),
  };
}

/** A stable counting sort: there are few distinct times. */
function orderByTime(times: Float64Array): Uint32Array {
  const counts = new Map<number, number>();
  for (const time of times) counts.set(time, (counts.get(time) ?? 0) + 1);
  const next = new Map<number, number>();
  let start = 0;
  for (const time of [...counts.keys()].sort((a, b) => a - b)) {
    next.set(time, start);
    start += counts.get(time)!;
  }
  const order = new Uint32Array(times.length);
  times.forEach((time, row) => {
    const place = next.get(time)!;
    order[place] = row;
    next.set(time, place + 1);
  });
  return order;
}

function reorder(values: Float64Array, order: Uint32Array): Float64Array {
  const ordered = new Float64Array(order.length);
  for (let place = 0; place < order.length; place++) ordered[place] = values[order[place]!]!;
  return ordered;
}
