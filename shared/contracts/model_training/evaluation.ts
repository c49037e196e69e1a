/** What is known of a model's quality. @module */
import { z } from "zod";
import { instantSchema } from "../time.ts";
import { metricSchema } from "./algorithm.ts";

const metricsSchema = z.record(z.string(), z.number());

/** Metrics on the test part: of the model, of the trivial baseline that always says the training prior. */
export const evaluationSchema = z.object({
  metric: metricSchema,
  rows: z.int(),
  /** Mean of the label over the test part. */
  baseRate: z.number(),
  model: metricsSchema,
  baseline: metricsSchema,
  /** 95% bootstrap interval of the primary metric. */
  interval: z.tuple([z.number(), z.number()]),
  trainRows: z.int(),
  trainUntil: instantSchema,
  testFrom: instantSchema,
  testUntil: instantSchema,
});
export type Evaluation = z.infer<typeof evaluationSchema>;
