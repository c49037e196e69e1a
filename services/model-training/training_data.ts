/** A training set's file -> rows to learn from or to judge by. @module */
import { AppError } from "shared/errors.ts";
import { readTrainingSet } from "shared/training_set_file.ts";
import type { TrainingSetTable } from "shared/training_set_table.ts";
import { BOOLEANS } from "./domain/classes.ts";
import { createDataset, type Dataset } from "./domain/dataset.ts";

/** The rows of a training set whose label is settled. */
export interface SettledRows {
  readonly rows: number;
  readonly featureNames: readonly string[];
  /**
   * With the labels as they stand: `numberClasses()` makes them the numbers of classes.
   *
   * @throws {AppError} `invalid` when it lacks one of the features, or a value is infinite
   */
  dataset(featureNames: readonly string[]): Dataset;
}

/**
 * Reads a Parquet file and leaves out the rows whose label nobody can know yet.
 *
 * @throws {AppError} `invalid` when it is no training set; `unprocessable` when no row is left
 */
export async function readSettledRows(file: Uint8Array): Promise<SettledRows> {
  const table = await readTrainingSet(file);
  const settled = settledIndices(table);
  if (settled.length === 0) {
    throw new AppError("unprocessable", `Cannot learn from the training set: ${whyNothing(table)}`);
  }
  const byName = new Map(table.features.map((feature) => [feature.name, feature]));
  const pick = (values: Float64Array) => Float64Array.from(settled, (row) => values[row]!);
  const labels = pick(table.labels);
  const times = pick(table.times);
  const entities = Array.from(settled, (row) => table.entities[row]!);
  return {
    rows: settled.length,
    featureNames: [...byName.keys()],
    dataset(featureNames) {
      const missing = featureNames.filter((name) => !byName.has(name));
      if (missing.length > 0) {
        throw new AppError(
          "invalid",
          `Cannot use the training set: it lacks the feature ${missing.join(", ")}`,
        );
      }
      const columns = featureNames.map((name) => {
        const { values, categories } = byName.get(name)!;
        return categories === undefined ? pick(values) : { values: pick(values), categories };
      });
      return createDataset({
        featureNames,
        columns,
        labels,
        classes: table.labelType === "boolean" ? BOOLEANS : table.labelCategories,
        times,
        entities,
      });
    },
  };
}

/** Why no row of a training set has a label. */
function whyNothing({ entities: { length }, mature }: TrainingSetTable): string {
  if (length === 0) return "it is empty, no entity was active at any tick";
  const over = mature?.reduce((sum, one) => sum + one, 0) ?? 0;
  return over === 0
    ? `the labels of all its ${length} rows lie after the project's clock`
    : `none of its ${length} rows has a label, though the time of ${over} of them is over`;
}

function settledIndices({ labels }: TrainingSetTable): Int32Array {
  const all = Int32Array.from(labels, (_, row) => row);
  return all.filter((row) => !Number.isNaN(labels[row]));
}
