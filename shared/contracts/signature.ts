import { z } from "zod";
import { featureReferenceSchema, nameSchema } from "./names.ts";

/** What a missing or null value does: the call is refused, or the graph treats it as trained. */
const nullsSchema = z.enum(["refuse", "as_trained"]);

/** One input of a model, in the order of its feature service; `name` is the feature that fills it, `view.feature`. */
export const modelInputSchema = z.discriminatedUnion("type", [
  z.object({ name: featureReferenceSchema, type: z.literal("number"), nulls: nullsSchema }),
  z.object({
    name: featureReferenceSchema,
    type: z.literal("category"),
    nulls: nullsSchema,
    /** The texts the model knows apart; the empty text is a missing value. */
    vocabulary: z.array(z.string().min(1)),
    /** What any other text does: the call is refused, or the graph treats all of them alike, as the rare ones. */
    unseen: z.enum(["refuse", "as_other"]),
  }),
]);
export type ModelInput = z.infer<typeof modelInputSchema>;

export const taskSchema = z.enum(["binary", "multiclass", "regression"]);
export type Task = z.infer<typeof taskSchema>;

/** Names of the graph's inputs: float32 [rows, inputs of type number] and text [rows, inputs of type category]. */
export const MODEL_TENSORS = { numbers: "features", categories: "categories" } as const;

/**
 * What a model takes and gives. Stands in the registry and in the ONNX file's metadata. The graph has one input tensor
 * a type of {@link MODEL_TENSORS}, with the inputs of that type in the order in which they stand here; a type that no
 * input has, has no tensor. A missing number is NaN, a missing text is empty.
 */
export const signatureSchema = z.object({
  task: taskSchema,
  entity: nameSchema,
  /** The versioned set of features the model was trained on. */
  featureService: z.object({ name: nameSchema, version: z.int().positive() }),
  inputs: z.array(modelInputSchema).min(1),
  /**
   * The graph's one output, float32: `probability` of the second class or `value`, of shape [rows], or
   * `probabilities` of shape [rows, classes.length].
   */
  output: z.enum(["probability", "probabilities", "value"]),
  /** Null for a regression. */
  classes: z.array(z.string()).min(2).nullable(),
});
export type Signature = z.infer<typeof signatureSchema>;

/** What the output of each task is called. */
export const OUTPUT_OF_TASK: Readonly<Record<Task, Signature["output"]>> = {
  binary: "probability",
  multiclass: "probabilities",
  regression: "value",
};

/** How many values the graph answers a row with. */
export const outputWidth = ({ output, classes }: Pick<Signature, "output" | "classes">): number =>
  output === "probabilities" ? classes!.length : 1;

/**
 * How a feature or the output was distributed in training, to compare what is served with.
 * `counts[i]` counts values in (edges[i-1], edges[i]], with open ends: counts.length = edges.length + 1.
 */
export const referenceBinsSchema = z.object({
  name: z.string(),
  edges: z.array(z.number()),
  counts: z.array(z.int().nonnegative()),
  missing: z.int().nonnegative(),
  /**
   * Of a category: the text whose number (from 0) stands for it, where everything else has the number
   * `categories.length`. Of the output of a multiclass model: its classes, and the counts are of the likeliest one.
   */
  categories: z.array(z.string()).optional(),
  /** Beside the output of a multiclass model: the class whose probability is counted. */
  class: z.string().optional(),
});
export type ReferenceBins = z.infer<typeof referenceBinsSchema>;

/**
 * The name under which the reference bins of the model's output stand, beside those of its features; of several classes
 * those of each one's probability follow, named `output/<class>`.
 */
export const OUTPUT_BINS = "output";

/** Keys of the ONNX file's metadata_props; the values are JSON text. */
export const MODEL_METADATA = {
  signature: "microml.signature",
  trainingSet: "microml.training_set",
  referenceBins: "microml.reference_bins",
  /** Of each asking node of the trees, the part of the training rows that went the true way. */
  treeShares: "microml.tree_shares",
  goldenRows: "microml.golden_rows",
} as const;

/** Rows with the answers that were recorded when the file was made: whoever serves it has to answer alike. */
export const goldenRowsSchema = z.object({
  /** Values in the order of the signature's inputs; null is missing. */
  rows: z.array(z.array(z.union([z.number(), z.string(), z.null()]))),
  /** As many values a row as the model has outputs. */
  outputs: z.array(z.array(z.number())),
});
export type GoldenRows = z.infer<typeof goldenRowsSchema>;
