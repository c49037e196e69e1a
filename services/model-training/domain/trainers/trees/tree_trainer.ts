import type { Task } from "shared/contracts/signature.ts";
import { invalid } from "shared/errors.ts";
import { countClasses, requireUsableLabels } from "../../classes.ts";
import type { Dataset } from "../../dataset.ts";
import { encodeColumns, learnVocabularies, type Vocabularies } from "../../encoding.ts";
import { encodeModelFile } from "../../model_file.ts";
import type { FitOptions, FittedModel } from "../trainer.ts";
import type { BoostedTrees, BoostingRules, RoundReport, TreeRows } from "./boosting.ts";
import { fitTrees } from "./fit_trees.ts";
import { createObjective, type ObjectiveName } from "./objective.ts";
import { answerRows, treeModelNodes } from "./tree_model.ts";

/** How an algorithm of trees differs from the others. */
export interface TreeAlgorithm {
  objective: ObjectiveName;
  /** Of the classes in the loss. */
  weights: Float64Array;
  /** Directions by the name of the feature. */
  monotone: Readonly<Record<string, 1 | -1>>;
  rules: Omit<BoostingRules, "seed" | "monotone">;
}

/** Learns a model of trees. @throws {AppError} `invalid` for rows that nothing can be learnt from */
export async function fitTreeModel(
  train: Dataset,
  options: FitOptions,
  { objective, weights, monotone, rules }: TreeAlgorithm,
): Promise<FittedModel> {
  const { task, seed, quantile, validation, threads = 1, onProgress } = options;
  requireUsableLabels(train, task, "training");
  const classes = task === "multiclass" ? countClasses(train.labels) : 1;
  const vocabularies = learnVocabularies(train);
  const directions = directionsOf(train, { monotone, task, vocabularies });
  const rowsOf = (dataset: Dataset): TreeRows => ({
    rows: dataset.rows,
    columns: encodeColumns(dataset, vocabularies),
    labels: dataset.labels,
    weights,
  });
  const report = ({ round, ...losses }: RoundReport) =>
    onProgress?.({ round, rounds: rules.rounds, ...losses });
  const boosted = await fitTrees(
    {
      train: rowsOf(train),
      validation: validation ? rowsOf(validation) : null,
      classes,
      quantile,
      vocabularies,
      rules: { ...rules, seed, monotone: directions },
      isWatched: onProgress !== undefined,
    },
    objective,
    { threads, ...(onProgress ? { onRound: report } : {}) },
  );
  const { link } = createObjective(objective, { classes });
  return treeModel({ ...boosted, link }, { task, vocabularies, featureNames: train.featureNames });
}

function treeModel(
  model: BoostedTrees & { link: ReturnType<typeof createObjective>["link"] },
  about: { task: Task; vocabularies: Vocabularies; featureNames: readonly string[] },
): FittedModel {
  const { task, vocabularies, featureNames } = about;
  const gains = new Float64Array(featureNames.length);
  for (const { feature, gain } of model.trees) {
    feature.forEach((number, node) => {
      if (number >= 0) gains[number] = gains[number]! + gain[node]!;
    });
  }
  return {
    task,
    vocabularies,
    outputs: model.base.length,
    facts: { rounds: model.rounds },
    gains,
    predict: (dataset) => answerRows(model, encodeColumns(dataset, vocabularies), dataset.rows),
    toOnnx: (metadata) =>
      encodeModelFile({ task, featureNames, vocabularies, ...treeModelNodes(model) }, metadata),
  };
}

function directionsOf(
  { featureNames }: Dataset,
  { monotone, task, vocabularies }: {
    monotone: TreeAlgorithm["monotone"];
    task: Task;
    vocabularies: Vocabularies;
  },
): Int8Array | null {
  const wanted = Object.entries(monotone);
  if (wanted.length === 0) return null;
  const refuse = (detail: string) => invalid(`Cannot use the parameter monotone: ${detail}`);
  if (task === "multiclass") throw refuse("a multiclass task has no direction");
  const directions = new Int8Array(featureNames.length);
  for (const [name, direction] of wanted) {
    const feature = featureNames.indexOf(name);
    if (feature < 0) throw refuse(`there is no feature "${name}", they are ${featureNames.join(", ")}`);
    if (vocabularies[feature] !== null) throw refuse(`"${name}" is a category, which has no order`);
    directions[feature] = direction;
  }
  return directions;
}
