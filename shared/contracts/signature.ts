import { z } from "zod";
import { featureReferenceSchema, nameSchema } from "./names.ts";

/** One input of a model, in the order in which the graph takes it. */
export const modelInputSchema = z.object({
  /** The feature that fills it, `view.feature`. */
  name: featureReferenceSchema,
  type: z.enum(["number"]),
  /** What a missing or null value does: the call is refused, or the graph treats it as trained (NaN goes in). */
  nulls: z.enum(["refuse", "as_trained"]),
});
export type ModelInput = z.infer<typeof modelInputSchema>;

export const taskSchema = z.enum(["binary", "regression"]);
export type Task = z.infer<typeof taskSchema>;

/** What a model takes and gives. Stands in the registry and in the ONNX file's metadata. */
export const signatureSchema = z.object({
  task: taskSchema,
  entity: nameSchema,
  /** The versioned set of features the model was trained on. */
  featureService: z.object({ name: nameSchema, version: z.int().positive() }),
  /** One float32 tensor `features` of shape [rows, inputs.length]. */
  inputs: z.array(modelInputSchema).min(1),
  /** One float32 tensor of shape [rows]: the probability of the second class, or the value. */
  output: z.enum(["probability", "value"]),
  classes: z.tuple([z.string(), z.string()]).nullable(),
});
export type Signature = z.infer<typeof signatureSchema>;

/**
 * How a feature or the output was distributed in training, to compare what is served with.
 * `counts[i]` counts values in (edges[i-1], edges[i]], with open ends: counts.length = edges.length + 1.
 */
export const referenceBinsSchema = z.object({
  name: z.string(),
  edges: z.array(z.number()),
  counts: z.array(z.int().nonnegative()),
  missing: z.int().nonnegative(),
});
export type ReferenceBins = z.infer<typeof referenceBinsSchema>;

/** The name under which the reference bins of the model's output stand, beside those of its features. */
export const OUTPUT_BINS = "output";

/** Keys of the ONNX file's metadata_props; the values are JSON text. */
export const MODEL_METADATA = {
  signature: "microml.signature",
  trainingSet: "microml.training_set",
  referenceBins: "microml.reference_bins",
} as const;
