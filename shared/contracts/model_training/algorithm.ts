/** What models are learnt by and judged by. @module */
import { z } from "zod";

export const algorithmSchema = z.enum(["gbdt", "random_forest", "logistic", "linear", "prior"]);
/**
 * Over several classes, `auc`, `average_precision` and `f1` are the mean of each class against the others, `brier` the
 * sum over the classes. `f1` and `accuracy` take the likelier class; `pinball` is
 * that of the model's quantile, by default the median: half of `mae`.
 */
export const metricSchema = z.enum([
  "auc",
  "log_loss",
  "brier",
  "average_precision",
  "accuracy",
  "f1",
  "calibration_error",
  "rmse",
  "mae",
  "mape",
  "r2",
  "pinball",
]);
export type Metric = z.infer<typeof metricSchema>;
