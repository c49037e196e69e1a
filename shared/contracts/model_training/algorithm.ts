/** What models are learnt by and judged by. @module */
import { z } from "zod";

export const algorithmSchema = z.enum(["gbdt", "logistic"]);
export const metricSchema = z.enum([
  "auc",
  "log_loss",
  "brier",
  "average_precision",
  "accuracy",
  "rmse",
  "mae",
  "r2",
]);
export type Metric = z.infer<typeof metricSchema>;
