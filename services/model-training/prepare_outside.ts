/** What a trainer outside the service learns from: the training part alone, as a training set of its own. @module */
import { writeTrainingSet } from "shared/training_set_file.ts";
import type { TrainingSetColumn } from "shared/training_set_table.ts";
import { classNames, requireUsableLabels } from "./domain/classes.ts";
import type { Dataset } from "./domain/dataset.ts";
import { readParts, type TrainingTask } from "./model_task.ts";

export interface OutsideParts {
  /** Parquet. */
  train: Uint8Array;
  /** Null where the split declares none. */
  validation: Uint8Array | null;
  features: readonly string[];
  /** Those that hold text. */
  categories: readonly string[];
  rows: number;
  classes: readonly string[] | null;
}

/**
 * The test part stays here: nobody can learn from it, by mistake or otherwise.
 *
 * @throws {AppError} `invalid` for labels that nothing can be learnt from
 */
export async function prepareOutside(task: TrainingTask): Promise<OutsideParts> {
  const { spec, train, validation } = await readParts(task);
  requireUsableLabels(train, spec.task, "training");
  return {
    train: await toFile(train),
    validation: validation === undefined ? null : await toFile(validation),
    features: train.featureNames,
    categories: train.featureNames.filter((_, feature) => train.dictionaries[feature] !== null),
    rows: train.rows,
    classes: classNames(train, spec.task),
  };
}

const toFile = (dataset: Dataset) =>
  writeTrainingSet({
    entities: dataset.entities,
    times: dataset.times,
    labels: dataset.labels,
    features: dataset.featureNames.map((_, feature) => toColumn(dataset, feature)),
  });

function toColumn({ featureNames, columns, dictionaries }: Dataset, feature: number): TrainingSetColumn {
  const name = featureNames[feature]!;
  const column = columns[feature]!;
  const categories = dictionaries[feature]!;
  return categories === null ? { name, values: Float64Array.from(column) } : {
    name,
    type: "text",
    categories,
    values: Float64Array.from(column, (code) => code === 0 ? NaN : code - 1),
  };
}
