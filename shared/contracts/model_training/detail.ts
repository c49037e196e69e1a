/** What is known of a version beyond its metrics: by slice, by cost, by feature, beside what needs no model. @module */
import { z } from "zod";

const metricsSchema = z.record(z.string(), z.number());

/** What a wrong answer of a binary model costs, in any unit; a right one costs nothing. */
export const errorCostsSchema = z.object({
  falsePositive: z.number().min(0).default(1),
  falseNegative: z.number().min(0).default(1),
});
export type ErrorCosts = z.infer<typeof errorCostsSchema>;

/** A threshold of least mean cost, and what comes of it on the test part. */
const decisionSchema = z.object({
  costs: errorCostsSchema,
  threshold: z.number(),
  /**
   * - `validation`: the validation part of the split.
   * - `folds`: rows of the training part, each answered by a fit that had not seen it.
   * - `costs`: no rows; it is right for probabilities that are calibrated.
   * - `test`: the test part itself, as in versions that were made before the others were there.
   */
  chosenOn: z.enum(["validation", "folds", "costs", "test"]).default("test"),
  /** Mean cost of a row. */
  cost: z.number(),
  precision: z.number(),
  recall: z.number(),
  f1: z.number(),
});

/** How a class fares on the test part. */
export const classReportSchema = z.object({
  class: z.string(),
  /** Rows of the training part; without any, the model does not know the class and is always wrong on it. */
  trainRows: z.int(),
  rows: z.int(),
  /** Null where the class was never answered, and where it does not occur. */
  precision: z.number().nullable(),
  recall: z.number().nullable(),
  f1: z.number().nullable(),
});
export type ClassReport = z.infer<typeof classReportSchema>;

/** A part of the test rows by one feature. */
export const sliceSchema = z.object({
  feature: z.string(),
  /** A text, a range such as `(2, 5]`, or `missing`. */
  value: z.string(),
  rows: z.int(),
  metrics: metricsSchema,
  /** 95% bootstrap interval of the model's own metric; null where it is not defined on most resamples. */
  interval: z.tuple([z.number(), z.number()]).nullable().default(null),
});
export type Slice = z.infer<typeof sliceSchema>;

/** Over the test part; a version that was made before these were computed has none of them. */
export const detailSchema = z.object({
  /** Metrics of what needs no model: `prior`, and `last_value` (the entity's last settled label). */
  baselines: z.record(z.string(), metricsSchema).default({}),
  /** Of classes: `confusion[actual][predicted]`, by the threshold of the decision where there is one. */
  confusion: z.array(z.array(z.int())).default([]),
  /** Of classes, in the order of `confusion`: those of the signature, then those that only later rows have. */
  classes: z.array(classReportSchema).default([]),
  /** Of a binary task. */
  decision: decisionSchema.nullable().default(null),
  /** Of the features that matter most, and of all categories. */
  slices: z.array(sliceSchema).default([]),
  /** By feature: how much worse the metric becomes when its values are dealt to other rows, in the metric's unit. */
  permutation: z.array(z.object({ feature: z.string(), loss: z.number() })).default([]),
  /** By feature: the mean magnitude of its SHAP values over some of the rows; empty where the model can't be explained. */
  shap: z.array(z.object({
    feature: z.string(),
    magnitude: z.number(),
    /** Of several classes: what is said for or against each of them; the magnitudes add up to the feature's. */
    byClass: z.record(z.string(), z.number()).optional(),
  })).default([]),
});
export type ModelDetail = z.infer<typeof detailSchema>;
