/**
 * What each algorithm of the service can be told. Parameters that are left out take the defaults, and every run keeps
 * all of them.
 *
 * @module
 */
import { z } from "zod";

/** Weights of the classes in the loss: all 1, inverse to their frequency, or by the class's name (others 1). */
const classWeights = z.union([z.enum(["none", "balanced"]), z.record(z.string(), z.number().positive())])
  .default("none")
  .describe('Weight of each class in the loss: "none", "balanced", or a weight by class');

const treeShape = {
  maxLeaves: z.int().min(2).max(4_096).default(31).describe("Most leaves of a tree"),
  maxDepth: z.int().min(0).max(64).default(0).describe("Most splits on the way to a leaf; 0: any number"),
  minRowsPerLeaf: z.int().min(1).max(1e9).default(20)
    .describe("Fewest rows of a leaf, estimated from their share of the second derivatives"),
  minHessianPerLeaf: z.number().min(0).max(1e9).default(1e-3)
    .describe("Smallest sum of second derivatives in a leaf"),
  minGain: z.number().min(0).max(1e9).default(0).describe("Smallest gain for which a leaf is split"),
  l1: z.number().min(0).max(1e9).default(0).describe("Penalty on the leaves' values"),
  l2: z.number().min(0).max(1e9).default(0).describe("Penalty on the squares of the leaves' values"),
  featureFraction: z.number().min(0.01).max(1).default(1).describe("Share of the features each tree may use"),
  rowFraction: z.number().min(0.01).max(1).default(1).describe("Share of the rows each tree learns from"),
  maxBins: z.int().min(2).max(255).default(255).describe("Most bins of a feature's values"),
  categorySmoothing: z.number().min(0).max(1e6).default(10)
    .describe("Rows below which a category is not told apart, and which its mean is shrunk by when sorted"),
  categoryL2: z.number().min(0).max(1e6).default(10)
    .describe("Added to l2 where a split is by a set of categories"),
  maxCategoriesPerSplit: z.int().min(1).max(255).default(32)
    .describe("Most categories on the smaller side of a split"),
  monotone: z.record(z.string(), z.union([z.literal(-1), z.literal(1)])).default({})
    .describe("Features by name whose rise must only raise (1) or lower (-1) the answer"),
};

export const ALGORITHM_PARAMETERS = {
  gbdt: z.object({
    rounds: z.int().min(1).max(10_000).default(300).describe("Most trees (of each class)"),
    learningRate: z.number().min(1e-4).max(1).default(0.1).describe("Share of each tree that is added"),
    ...treeShape,
    earlyStoppingRounds: z.int().min(0).max(10_000).default(50)
      .describe(
        "Stop after so many rounds without a better validation loss; 0, or no validation rows: never",
      ),
    classWeights,
  }),
  random_forest: z.object({
    trees: z.int().min(1).max(10_000).default(200).describe("Trees, whose answers are averaged"),
    ...treeShape,
    maxLeaves: treeShape.maxLeaves.default(1_024).describe("Most leaves of a tree"),
    minRowsPerLeaf: treeShape.minRowsPerLeaf.default(5).describe(
      "Fewest rows of a leaf, estimated by their weight",
    ),
    minHessianPerLeaf: treeShape.minHessianPerLeaf.default(0).describe(
      "Smallest weight of the rows of a leaf",
    ),
    rowFraction: treeShape.rowFraction.default(0.632)
      .describe("Share of the rows each tree learns from, drawn without replacement"),
    featureFraction: z.number().min(0.01).max(1).optional()
      .describe(
        "Share of the features that each split may use; default: the root of their number, a third of them for a regression",
      ),
    classWeights,
  }),
  logistic: z.object({
    l1: z.number().min(0).max(1e9).default(0)
      .describe("Penalty: it times the sum of the weights' magnitudes, of standardised features"),
    l2: z.number().min(0).max(1e9).default(1)
      .describe("Penalty: half of it times the sum of the squared weights, of standardised features"),
    maxIterations: z.int().min(1).max(10_000).default(500).describe("Most steps of the solver"),
    classWeights,
  }),
  linear: z.object({
    l1: z.number().min(0).max(1e9).default(0)
      .describe("Penalty: it times the sum of the weights' magnitudes, of standardised features"),
    l2: z.number().min(0).max(1e9).default(1)
      .describe("Penalty: half of it times the sum of the squared weights, of standardised features"),
    maxIterations: z.int().min(1).max(10_000).default(500).describe("Most steps of the solver"),
  }),
  prior: z.object({}),
} as const;

/** The algorithms that this service has trainers for. */
export type BuiltInAlgorithm = keyof typeof ALGORITHM_PARAMETERS;
export type ParametersOf<Algorithm extends BuiltInAlgorithm> = z.output<
  typeof ALGORITHM_PARAMETERS[Algorithm]
>;

export const parameterValueSchema = z.union([
  z.number(),
  z.boolean(),
  z.string(),
  z.record(z.string(), z.number()),
]);
export const parametersSchema = z.record(z.string(), parameterValueSchema);
export type Parameters = z.infer<typeof parametersSchema>;
