/** What is learnt of a version beside its metrics, and kept with it. @module */
import { z } from "zod";
import { detailSchema } from "./detail.ts";

/** A sign that a feature knows what it must not know, or knows nothing. It stops nothing: people decide. */
export const hintSchema = z.object({
  /**
   * - `explains_label`: the feature alone explains the label.
   * - `younger_than_t`: it is made of records that are later than T, by the event times that the training set tells. Where
   *   it tells none, it holds instants that are later than T.
   * - `later_instants`: it holds instants later than T, though no record behind it is.
   * - `constant`: it has one value. `missing`: it has none.
   */
  kind: z.enum(["explains_label", "younger_than_t", "later_instants", "constant", "missing"]),
  feature: z.string(),
  /** AUC or R2 of the feature alone; the share of the rows that hold later instants; else null. */
  value: z.number().nullable(),
  message: z.string(),
});
export type Hint = z.infer<typeof hintSchema>;

const rate = z.number().min(0).max(1);

/**
 * Over the test part, at most about a hundred points each. Beside them the importances: of each feature how much it has
 * lowered the loss in training, as a share of all; empty where the algorithm can't tell.
 */
export const curvesSchema = z.object({
  /** Of a binary task, from the strictest threshold to the loosest. */
  roc: z.array(
    z.object({ threshold: z.number().nullable(), falsePositiveRate: rate, truePositiveRate: rate }),
  ),
  precisionRecall: z.array(z.object({ threshold: z.number(), precision: rate, recall: rate })),
  /** Of a binary task: rows by their answer in about equal groups, what was predicted of them beside what happened. */
  calibration: z.array(z.object({ predicted: rate, observed: rate, rows: z.int() })),
  /** Of a regression: values and answers of some of the rows. */
  answers: z.array(z.object({ actual: z.number(), predicted: z.number() })),
  importances: z.array(z.object({ feature: z.string(), gain: z.number() })),
  ...detailSchema.shape,
});
export type Curves = z.infer<typeof curvesSchema>;
