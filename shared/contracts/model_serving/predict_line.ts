/** Batches as lines of JSON: what a line of the question, and of the answer, may hold. @module */
import { z } from "zod";
import { closed } from "../closed.ts";
import { entitySchema } from "../entity_key.ts";
import { requestValuesSchema } from "../feature_store.ts";
import { predict } from "../model_serving.ts";
import { instantSchema } from "../time.ts";

/** Content type of questions and answers. */
export const NDJSON = "application/x-ndjson";

/** What a line may say besides what it asks. */
const options = {
  asOf: instantSchema.optional(),
  key: z.string().min(1).max(256).optional(),
  explain: z.boolean().optional(),
};

/** A line: an entity whose features are looked up, or a row of features. */
export const lineQuestionSchema = closed(z.union([
  z.object({
    entity: entitySchema,
    /** What only the caller knows. */
    features: z.record(z.string(), z.unknown()).optional(),
    /** What its on-demand features read. */
    request: requestValuesSchema.optional(),
    ...options,
  }),
  z.object({ row: z.record(z.string(), z.unknown()), ...options }),
]));
export type LineQuestion = z.infer<typeof lineQuestionSchema>;

const { model, version, arm, at, predictions, times } = predict.spec.reply.shape;
const line = z.int().positive();

/** What a line is answered with, by its number. */
export const lineAnswerSchema = z.union([
  z.object({
    line,
    ...predictions.element.shape,
    model,
    version,
    arm,
    at,
    /** Of the call that the line shared with others. */
    times,
  }),
  z.object({
    line,
    error: z.object({
      code: z.string(),
      message: z.string(),
      reasons: z.array(z.object({ path: z.string(), message: z.string() })),
    }),
  }),
]);
