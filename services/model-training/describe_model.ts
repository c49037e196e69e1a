/** What is known of a model by its answers, whoever made it. @module */
import {
  type Curves,
  detailSchema,
  type Evaluation,
  type Hint,
  type InputExample,
} from "shared/contracts/model_training.ts";
import {
  OUTPUT_BINS,
  OUTPUT_OF_TASK,
  type ReferenceBins,
  type Signature,
} from "shared/contracts/signature.ts";
import { toInstant } from "shared/contracts/time.ts";
import { classNames } from "./domain/classes.ts";
import type { Dataset } from "./domain/dataset.ts";
import type { Vocabularies } from "./domain/encoding.ts";
import { bootstrapInterval } from "./domain/evaluation/bootstrap.ts";
import { drawCurves } from "./domain/evaluation/curves.ts";
import { evaluate, metricValue, scoreRows } from "./domain/evaluation/metrics.ts";
import { hintsOf } from "./domain/hints.ts";
import { exampleOf } from "./domain/input_example.ts";
import { categoryBins, classBins, referenceBins } from "./domain/reference_bins.ts";
import { describeInputs } from "./domain/signature.ts";
import { prior } from "./domain/trainers/prior.ts";
import type { TrainingParts, TrainingTask } from "./model_task.ts";

/** The rows that a model is judged on, and what is said of it for that. */
export interface JudgedParts extends Pick<TrainingParts, "train" | "test"> {
  spec: Pick<TrainingParts["spec"], "task" | "metric" | "seed" | "quantile">;
  split: Pick<TrainingParts["split"], "trainUntil" | "testFrom" | "testUntil">;
  /** Absent where nothing is known of the event times behind the features. */
  leads?: TrainingParts["leads"];
}

export interface ModelDescription {
  evaluation: Evaluation;
  curves: Curves;
  hints: Hint[];
  inputExample: InputExample;
}

/** Of a model that can't be asked anew, such as one that was made elsewhere. */
const NO_DETAIL = detailSchema.parse({});

/**
 * Judges answers to the rows of the test part, beside the trivial baseline. It is the one look that is taken at them.
 *
 * @param gains of each feature how much it has lowered the loss in training
 * @throws {AppError} `invalid` when the model's own metric is not defined on them
 */
export async function describeModel(
  parts: JudgedParts,
  answers: Float64Array,
  gains?: ArrayLike<number>,
): Promise<ModelDescription> {
  const { spec, train, test } = parts;
  return {
    evaluation: await evaluateModel(parts, answers),
    curves: {
      ...NO_DETAIL,
      ...drawCurves(spec.task, test.labels, answers),
      importances: gains === undefined ? [] : importancesOf(train, gains),
    },
    hints: hintsOf(train, { task: spec.task, leads: parts.leads }),
    inputExample: exampleOf(train),
  };
}

async function evaluateModel(
  { spec, split, train, test }: JudgedParts,
  answers: Float64Array,
): Promise<Evaluation> {
  const { task, metric, seed, quantile } = spec;
  const baseline = await prior.fit(train, { task, parameters: {}, seed, quantile });
  const scored = scoreRows(test.labels, answers, quantile);
  // A run must not end with a model whose own metric says nothing.
  metricValue(metric, scored);
  return {
    metric,
    rows: test.rows,
    baseRate: test.labels.reduce((sum, label) => sum + label, 0) / test.rows,
    model: evaluate(task, scored),
    baseline: evaluate(task, scoreRows(test.labels, baseline.predict(test), quantile)),
    // An entity's rows resemble each other: it is drawn with all of them.
    interval: bootstrapInterval(metric, scored, { seed, groups: test.entities }),
    trainRows: train.rows,
    trainUntil: toInstant(split.trainUntil),
    testFrom: toInstant(split.testFrom),
    testUntil: toInstant(split.testUntil),
  };
}

/** @param vocabularies of each feature the texts that the model knows apart; null for a number */
export function signatureOf(
  { spec, trainingSet }: Pick<TrainingTask, "spec" | "trainingSet">,
  train: Dataset,
  vocabularies: Vocabularies,
): Signature {
  const { task } = spec;
  return {
    task,
    entity: spec.entity,
    featureService: trainingSet.manifest.featureService,
    inputs: describeInputs(train, vocabularies),
    output: OUTPUT_OF_TASK[task],
    classes: classNames(train, task),
  };
}

/** @param answers to the rows of the training part, [rows, outputs] */
export function binsOf(
  train: Dataset,
  answers: Float64Array,
  { classes, output }: Pick<Signature, "classes" | "output">,
): ReferenceBins[] {
  return [
    ...train.featureNames.map((name, feature) => {
      const dictionary = train.dictionaries[feature] ?? null;
      const column = train.columns[feature]!;
      return dictionary === null ? referenceBins(name, column) : categoryBins(name, column, dictionary);
    }),
    ...(output === "probabilities" ? classBins(answers, classes!) : [referenceBins(OUTPUT_BINS, answers)]),
  ];
}

/** Largest first. */
function importancesOf({ featureNames }: Dataset, gains: ArrayLike<number>): Curves["importances"] {
  const all = Array.from(gains).reduce((sum, gain) => sum + gain, 0);
  return featureNames
    .map((feature, index) => ({ feature, gain: all > 0 ? gains[index]! / all : 0 }))
    .toSorted((one, other) => other.gain - one.gain);
}
