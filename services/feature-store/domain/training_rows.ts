import type { FeatureStatus, FeatureValue } from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import type { TrainingSetTable } from "shared/training_set_table.ts";
import type { FeatureRow } from "./feature_plan.ts";
import { createValueColumn } from "./value_column.ts";

/** A row to be added. */
export interface TrainingRow {
  /** Canonical entity key. */
  entity: string;
  atMs: number;
  features: FeatureRow;
  label: FeatureValue;
  /** Whether all of (T, T + within] lies before the clock. */
  mature: boolean;
  /** What is taken over from the spine, in the order of the columns. */
  carried: readonly FeatureValue[];
  /** Its place in a spine that was given; default: by T, then as it was added. */
  place?: number;
}

/** Rows of each status. */
export type StatusCounts = Record<FeatureStatus, number>;

/** Columns that grow by the row, in the order in which entities are read, and are put in order at the end. */
export interface TrainingRows {
  readonly length: number;
  readonly immature: number;
  add(row: TrainingRow): void;
  /** The columns are handed over: nothing can be added afterwards. */
  finish(): TrainingSetTable;
  /** By feature, in their order. */
  statuses(): StatusCounts[];
}

export interface TrainingRowsOptions {
  /** `view.feature`, one column each. */
  features: readonly string[];
  carried: readonly string[];
  /** Whether a column must say which rows are mature: a label of mature ones may be null. */
  marksMature: boolean;
  /** Rows times features that may be held; more is an error. */
  maxCells: number;
}

const STATUSES: readonly FeatureStatus[] = ["PRESENT", "NULL", "NOT_FOUND", "EXPIRED"];

export function createTrainingRows(options: TrainingRowsOptions): TrainingRows {
  const { features, carried, marksMature, maxCells } = options;
  const entities: string[] = [];
  /** Row -> position in `entities`. */
  const entityOf = createValueColumn();
  const times = createValueColumn();
  const labels = createValueColumn();
  const mature = createValueColumn();
  const places = createValueColumn();
  const columns = features.map(createValueColumn);
  const carriedColumns = carried.map(createValueColumn);
  const counts = features.map(() => new Uint32Array(STATUSES.length));
  let immature = 0;
  let isGiven = false;

  return {
    get length() {
      return times.length;
    },
    get immature() {
      return immature;
    },
    add(row) {
      if ((times.length + 1) * features.length > maxCells) {
        throw new AppError(
          "too_large",
          `Cannot build the training set: it has more than ${times.length} rows of ${features.length} features, ` +
            `at most ${maxCells} values are held; ask for a shorter time, fewer features or rarer ticks`,
        );
      }
      if (entities.at(-1) !== row.entity) entities.push(row.entity);
      entityOf.push(entities.length - 1);
      times.push(row.atMs);
      labels.push(row.label);
      mature.push(row.mature);
      if (!row.mature) immature++;
      if (row.place !== undefined) {
        isGiven = true;
        places.push(row.place);
      }
      const { values, statuses } = row.features;
      for (let index = 0; index < columns.length; index++) {
        columns[index]!.push(values[index]!);
        counts[index]![STATUSES.indexOf(statuses[index]!)]!++;
      }
      carriedColumns.forEach((column, index) => column.push(row.carried[index]!));
    },
    finish() {
      const added = Uint32Array.from({ length: times.length }, (_, row) => row);
      const addedTimes = times.finish("", added).values;
      const order = orderBy(isGiven ? places.finish("", added).values : addedTimes);
      const keys = entityOf.finish("", order).values;
      const label = labels.finish("", order);
      return {
        entities: Array.from(keys, (position) => entities[position]!),
        times: Float64Array.from(order, (row) => addedTimes[row]!),
        labels: label.values,
        ...(label.categories === undefined ? {} : { labelCategories: label.categories }),
        ...(marksMature ? { mature: Uint8Array.from(mature.finish("", order).values) } : {}),
        features: columns.map((column, index) => column.finish(features[index]!, order)),
        ...(carried.length === 0
          ? {}
          : { carried: carriedColumns.map((column, index) => column.finish(carried[index]!, order)) }),
      };
    },
    statuses: () =>
      counts.map((own) =>
        Object.fromEntries(STATUSES.map((status, index) => [status, own[index]!])) as StatusCounts
      ),
  };
}

/** A stable sort: rows of one time stay as they were added. */
function orderBy(values: Float64Array): Uint32Array {
  const order = Uint32Array.from({ length: values.length }, (_, row) => row);
  return order.sort((a, b) => values[a]! - values[b]! || a - b);
}
