/** What a trainer outside the service learns from: the training part alone, as a training set of its own. @module */
import { AppError } from "shared/errors.ts";
import { writeTrainingSet } from "shared/training_set_file.ts";
import { requireUsableLabels } from "./domain/classes.ts";
import type { Dataset } from "./domain/dataset.ts";
import { readParts, type TrainingTask } from "./model_task.ts";

export interface OutsideParts {
  /** Parquet. */
  train: Uint8Array;
  /** Null where the split declares none. */
  validation: Uint8Array | null;
  features: readonly string[];
  rows: number;
}

/**
 * The test part stays here: nobody can learn from it, by mistake or otherwise.
 *
 * @throws {AppError} `unprocessable` for features that are no numbers; `invalid` for labels that nothing can be learnt from
 */
export async function prepareOutside(task: TrainingTask): Promise<OutsideParts> {
  const { spec, train, validation } = await readParts(task);
  const texts = train.featureNames.filter((_, feature) => train.dictionaries[feature] !== null);
  if (texts.length > 0) {
    throw new AppError(
      "unprocessable",
      `Cannot train with "${spec.algorithm}": trainers outside the service take numbers, and ${
        texts.join(", ")
      } is text`,
    );
  }
  requireUsableLabels(train, spec.task, "training");
  return {
    train: await toFile(train),
    validation: validation === undefined ? null : await toFile(validation),
    features: train.featureNames,
    rows: train.rows,
  };
}

const toFile = ({ entities, times, labels, featureNames, columns }: Dataset) =>
  writeTrainingSet({
    entities,
    times,
    labels,
    features: featureNames.map((name, feature) => ({ name, values: Float64Array.from(columns[feature]!) })),
  });
