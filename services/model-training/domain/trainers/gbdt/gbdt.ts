import { ALGORITHM_PARAMETERS, type ParametersOf } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import { type Dataset, requireUsableLabels } from "../../dataset.ts";
import { encodeColumns, learnVocabularies, type Vocabularies } from "../../encoding.ts";
import { encodeModelFile } from "../../model_file.ts";
import { Random } from "../../random.ts";
import { resolveParameters } from "../parameters.ts";
import type { FitOptions, FittedModel, Trainer } from "../trainer.ts";
import { type BinnedRows, binRows, findBinning } from "./binning.ts";
import { layoutHistogram, toExactSteps } from "./histogram.ts";
import { type Objective, OBJECTIVES } from "./objective.ts";
import { addTreeScores } from "shared/onnx/tree_ensemble.ts";
import { addBinnedScores, type BinnedTree } from "./tree.ts";
import { type GrownTree, TreeGrower } from "./tree_grower.ts";
import { treeModelNodes } from "./tree_onnx.ts";

type Parameters = ParametersOf<"gbdt">;

/**
 * Gradient-boosted trees on histograms: log loss for a binary task, squared error for a regression. Missing values
 * go to the side on which they gain more.
 */
export const gbdt: Trainer = {
  algorithm: "gbdt",
  tasks: ["binary", "regression"],
  parameters: ALGORITHM_PARAMETERS.gbdt,
  fit: (train, options) =>
    Promise.try(() => {
      const parameters = resolveParameters("gbdt", ALGORITHM_PARAMETERS.gbdt, options.parameters);
      requireUsableLabels(train.labels, options.task, "training");
      const vocabularies = learnVocabularies(train);
      const encode = (dataset: Dataset) => ({ ...dataset, columns: encodeColumns(dataset, vocabularies) });
      const { validation, ...rest } = options;
      const encoded = validation ? { ...rest, validation: encode(validation) } : rest;
      return boost(encode(train), encoded, { parameters, vocabularies });
    }),
};

function boost(
  train: Dataset,
  options: FitOptions,
  { parameters, vocabularies }: { parameters: Parameters; vocabularies: Vocabularies },
): FittedModel {
  const { task, seed, onProgress } = options;
  const objective = OBJECTIVES[task]!;
  const random = new Random(seed);
  const columns = findBinning(train, { maxBins: parameters.maxBins, seed });
  const binned = binRows(train, columns);
  const base = Math.fround(objective.initialScore(train.labels));
  const scores = new Float64Array(train.rows).fill(base);
  const validation = options.validation && watchValidation(options.validation, { objective, base, columns });
  const draw = drawer(binned, parameters, random);
  const grower = new TreeGrower(binned, layoutHistogram(binned), parameters);
  const derivatives = new Float64Array(2 * train.rows);
  const trees: BinnedTree[] = [];

  for (let round = 1; round <= parameters.rounds; round++) {
    objective.differentiate(train.labels, scores, derivatives);
    const { rows, columns: chosen } = draw();
    const { tree, leaves } = grower.grow(toExactSteps(derivatives), rows, chosen);
    // Without sampling, a tree that found nothing to split will be followed by others that find nothing.
    if (leaves.length === 1 && parameters.rowFraction === 1 && parameters.featureFraction === 1) break;
    if (rows.length < train.rows) addBinnedScores(tree, binned, scores);
    else addLeafScores(leaves, scores);
    trees.push(tree);
    const validationLoss = validation?.add(tree);
    if (onProgress && isReported(round, parameters.rounds)) {
      onProgress({
        round,
        rounds: parameters.rounds,
        trainingLoss: objective.loss(train.labels, scores),
        ...(validationLoss === undefined ? {} : { validationLoss }),
      });
    }
    const patience = parameters.earlyStoppingRounds;
    if (validation && patience > 0 && round - validation.bestRound() >= patience) break;
  }
  const kept = validation && parameters.earlyStoppingRounds > 0
    ? trees.slice(0, validation.bestRound())
    : trees;
  return ensembleModel(train.featureNames, { task, base, trees: kept, vocabularies });
}

/** The same as {@link addBinnedScores} where every row is in a leaf, without walking down to it. */
function addLeafScores(leaves: GrownTree["leaves"], scores: Float64Array): void {
  for (const { rows, value } of leaves) {
    for (const row of rows) scores[row] = scores[row]! + value;
  }
}

/** About a hundred reports a fit, each of which costs a pass over the training rows. */
const isReported = (round: number, rounds: number) =>
  round === rounds || round % Math.max(1, Math.round(rounds / 100)) === 0;

/** Keeps the scores of the validation rows up to date and remembers the best round; 0 is no tree at all. */
function watchValidation(
  validation: Dataset,
  context: { objective: Objective; base: number; columns: BinnedRows["columns"] },
): { add(tree: BinnedTree): number; bestRound(): number } {
  const { objective, base, columns } = context;
  const binned = binRows(validation, columns);
  const scores = new Float64Array(validation.rows).fill(base);
  let rounds = 0;
  let best = { round: 0, loss: objective.loss(validation.labels, scores) };
  return {
    add(tree) {
      addBinnedScores(tree, binned, scores);
      const loss = objective.loss(validation.labels, scores);
      rounds++;
      if (loss < best.loss) best = { round: rounds, loss };
      return loss;
    },
    bestRound: () => best.round,
  };
}

/** Rows and columns for each tree: all of them, or the shares that the parameters ask for. */
function drawer(
  binned: BinnedRows,
  parameters: Parameters,
  random: Random,
): () => { rows: Int32Array; columns: Int32Array } {
  const allRows = Int32Array.from({ length: binned.rows }, (_, row) => row);
  const allColumns = Int32Array.from(binned.columns, (_, column) => column);
  const share = (all: Int32Array, fraction: number) =>
    fraction === 1 || all.length === 0
      ? all
      : random.sample(all.length, Math.max(1, Math.round(all.length * fraction)));
  return () => ({
    rows: share(allRows, parameters.rowFraction),
    columns: share(allColumns, parameters.featureFraction),
  });
}

function ensembleModel(
  featureNames: readonly string[],
  ensemble: { task: Task; base: number; trees: readonly BinnedTree[]; vocabularies: Vocabularies },
): FittedModel {
  const { task, base, trees, vocabularies } = ensemble;
  const objective = OBJECTIVES[task]!;
  return {
    task,
    vocabularies,
    outputs: 1,
    facts: { rounds: trees.length },
    predict(dataset) {
      const scores = new Float64Array(dataset.rows).fill(base);
      const columns = encodeColumns(dataset, vocabularies);
      for (const tree of trees) addTreeScores(tree, columns, scores);
      return scores.map((score) => objective.output(score));
    },
    toOnnx: (metadata) =>
      encodeModelFile({
        task,
        featureNames,
        vocabularies,
        ...treeModelNodes({
          base: Float64Array.of(base),
          trees,
          link: task === "binary" ? "sigmoid" : "identity",
        }),
      }, metadata),
  };
}
