/**
 * The protocol of trainers outside the service: any process, in any language, that answers
 * `training.trainers.<algorithm>` on NATS (`subject.trainer`).
 *
 * 1. The service publishes a {@link TrainerJob} there, with a reply subject. Copies of a trainer share the work by a
 *    queue group.
 * 2. The trainer reads the training set from the file store (the object store `files`, under its SHA-256) and publishes
 *    {@link TrainerMessage}s to the reply subject: progress as often as it likes, and no less than every
 *    `silenceSeconds`; in the end the model's ONNX file, which it has put into the file store, or an error. A message
 *    that is sent as a request is acknowledged by an empty answer: a trainer that repeats its last word until then
 *    loses no result to an outage of NATS.
 * 3. The service checks the file, judges it on rows that the trainer has not seen, and registers it.
 *
 * A run that was cancelled is told of on `subject.trainingRun(<run>)`: the trainer may stop, nobody listens to it any more.
 *
 * @module
 */
import { z } from "zod";
import { featureReferenceSchema, nameSchema } from "../names.ts";
import { taskSchema } from "../signature.ts";
import { parametersSchema } from "./parameters.ts";

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in 64 hexadecimal digits");

/** What a trainer is asked to do. */
export const trainerJobSchema = z.object({
  /** Of this protocol; fields are only added within it. */
  protocol: z.literal(1),
  run: z.uuid(),
  model: nameSchema.nullable(),
  algorithm: nameSchema,
  task: taskSchema,
  /** Parquet in the file store: the columns `entity`, `t`, `label`, and one for each of the features. */
  trainingSet: sha256Schema,
  /** Rows that tell when to stop, in the same form; null where the split declares none. */
  validationSet: sha256Schema.nullable(),
  /**
   * The columns to learn from. The ONNX file takes them as one float32 input of shape [rows, numbers] and one of text of
   * shape [rows, categories], in this order; or each as an input of shape [rows, 1] under its name.
   */
  features: z.array(featureReferenceSchema),
  /** Those of them that hold text; null is a missing one, which the ONNX file gets as the empty text. */
  categories: z.array(featureReferenceSchema),
  rows: z.int(),
  /** Of a task of classes: their names, whose places the labels are. */
  classes: z.array(z.string()).nullable(),
  parameters: parametersSchema,
  seed: z.int(),
  /** A trainer that says nothing for this long is given up. */
  silenceSeconds: z.number(),
});
export type TrainerJob = z.infer<typeof trainerJobSchema>;

/** What a trainer says. */
export const trainerMessageSchema = z.union([
  z.object({
    progress: z.object({
      round: z.number().nonnegative(),
      rounds: z.number().positive(),
      /** By name, such as `training_loss`; kept with their round. */
      metrics: z.record(z.string(), z.number()).default({}),
    }),
  }),
  z.object({ log: z.string() }),
  z.object({
    /** SHA-256 of the model's file in the file store. */
    onnx: sha256Schema,
    /** Numbers worth keeping with the run. */
    facts: z.record(z.string(), z.number()).default({}),
    /** What it was trained in, such as the versions of libraries; kept with the run. */
    environment: z.record(z.string(), z.string()).default({}),
  }),
  z.object({ error: z.string().min(1) }),
]);
export type TrainerMessage = z.infer<typeof trainerMessageSchema>;
