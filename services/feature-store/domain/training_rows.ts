import type { FeatureStatus, FeatureValue } from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import { type Cells, createCellWriter } from "./cells.ts";
import type { FeatureRow } from "./feature_plan.ts";

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

/** The rows of some entities, in the order in which they were added: data that may go to another thread. */
export interface TrainingPart {
  /** In the order of their first rows. */
  entities: readonly string[];
  /** Columns: those of {@link ROW_HEAD}, the features, what is carried. */
  cells: Cells;
  /** Rows that are not mature. */
  immature: number;
  /** By feature. */
  statuses: readonly StatusCounts[];
  /** By feature: the greatest of event time - T of the newest record behind a value; -Infinity without a record. */
  leads: Float64Array;
}

/** The columns before the features. `entity` is a position in the entities of the part. */
export const ROW_HEAD = ["entity", "time", "place", "mature", "label"] as const;

export interface TrainingRows {
  /** @throws {AppError} `too_large` when there is no room for it */
  add(row: TrainingRow): void;
  /** Nothing can be added afterwards. */
  finish(): TrainingPart;
}

/** How many rows may be held, counted over all threads that add some. */
export interface RowLimit {
  features: number;
  /** Rows times features. */
  maxCells: number;
  /** One integer in shared memory: the rows of all threads. */
  rows: Int32Array;
}

export function createRowLimit({ features, maxCells }: Omit<RowLimit, "rows">): RowLimit {
  return { features, maxCells, rows: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) };
}

const STATUSES: readonly FeatureStatus[] = ["PRESENT", "NULL", "NOT_FOUND", "EXPIRED"];

export function createTrainingRows({ carried, limit }: { carried: number; limit: RowLimit }): TrainingRows {
  const { features } = limit;
  const cells = createCellWriter(ROW_HEAD.length + carried + features);
  const entities: string[] = [];
  const statuses = Array.from(
    { length: features },
    () => Object.fromEntries(STATUSES.map((status) => [status, 0])) as StatusCounts,
  );
  const leads = new Float64Array(features).fill(-Infinity);
  let immature = 0;
  return {
    add(row) {
      takeRoom(limit);
      if (entities.at(-1) !== row.entity) entities.push(row.entity);
      if (!row.mature) immature++;
      const head = [entities.length - 1, row.atMs, row.place ?? null, row.mature, row.label];
      cells.add(head, row.features.values, row.carried);
      for (let index = 0; index < features; index++) {
        statuses[index]![row.features.statuses[index]!]++;
        const time = row.features.eventTimes[index]!;
        if (time !== null && time - row.atMs > leads[index]!) leads[index] = time - row.atMs;
      }
    },
    finish: () => ({ entities, cells: cells.finish(), immature, statuses, leads }),
  };
}

function takeRoom({ features, maxCells, rows }: RowLimit): void {
  const before = Atomics.add(rows, 0, 1);
  if ((before + 1) * features <= maxCells) return;
  throw new AppError(
    "too_large",
    `Cannot build the training set: it has more than ${before} rows of ${features} features, ` +
      `at most ${maxCells} values are held; ask for a shorter time, fewer features or rarer ticks`,
  );
}
