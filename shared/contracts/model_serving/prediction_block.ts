/**
 * How the prediction log travels: as blocks of records, in JSON that people can read too.
 *
 * @module
 */
import { z } from "zod";
import { entitySchema } from "../entity_key.ts";
import { eventIdSchema, type PlatformEvent } from "../envelope.ts";
import { featureValueSchema, requestValuesSchema } from "../feature_store.ts";
import { featureReferenceSchema, nameSchema } from "../names.ts";
import { type Instant, instantSchema, toInstant } from "../time.ts";
import {
  featuresFromSchema,
  markSchema,
  type PredictionRecord,
  rerouteSchema,
  servedStatusSchema,
} from "./prediction_record.ts";

/** The rows of a call that one arm answered, or failed to answer: lists hold one value for each row. */
const loggedCallSchema = z.object({
  /** Of the first row; the others have the numbers behind it. */
  sequence: z.int().nonnegative(),
  /** When it was served, in milliseconds after the block's `servedAt`. */
  afterMs: z.int(),
  latencyMs: z.number(),
  /** T of the features, where that is not when it was served. */
  at: instantSchema.optional(),
  traceparent: z.string().optional(),
  position: z.int().optional(),
  snapshot: z.string().optional(),
  /** Where it failed. */
  failure: z.object({ code: z.string(), error: z.string() }).optional(),
  /** Prediction ids. */
  ids: z.array(eventIdSchema).min(1),
  /** Null is what JSON has no number for. */
  outputs: z.array(z.number().nullable()).optional(),
  /** Of each row by the block's classes. */
  probabilities: z.array(z.array(z.number().nullable())).optional(),
  /** Of each row by the block's features. */
  rows: z.array(z.array(featureValueSchema)).optional(),
  entities: z.array(entitySchema).optional(),
  request: z.array(requestValuesSchema).optional(),
  /** Of each row those that are not PRESENT. */
  statuses: z.array(z.record(featureReferenceSchema, servedStatusSchema)).optional(),
  marks: z.array(z.record(featureReferenceSchema, markSchema)).optional(),
  shadowOf: z.array(eventIdSchema).optional(),
});
type LoggedCall = z.infer<typeof loggedCallSchema>;

const LISTS = [
  "outputs",
  "probabilities",
  "rows",
  "entities",
  "request",
  "statuses",
  "marks",
  "shadowOf",
] as const;

/**
 * Data of a `predictions.<model>` event: records that one version of a model made, with what they share said once. Its
 * time is when the first call was served, its definition the version (0 for none).
 *
 * The message's header `Microml-Log-Head` says how many records the process had made of this model when it sent it:
 * see LOG_HEADER.
 */
export const predictionBlockSchema = z.object({
  project: nameSchema.nullable(),
  model: nameSchema,
  version: z.int().positive().nullable(),
  arm: nameSchema.nullable(),
  assigned: nameSchema.nullable(),
  rerouted: rerouteSchema.nullable(),
  featuresFrom: featuresFromSchema.nullable(),
  featureService: z.object({ name: nameSchema, version: z.int().positive() }).nullable(),
  /** Names of the values of a row, in their order. */
  features: z.array(featureReferenceSchema),
  /** Of a model of several classes: the names of the probabilities. */
  classes: z.array(z.string()).nullable(),
  /** The share of answers that is logged; of errors all are. */
  sample: z.number(),
  instance: z.string(),
  boot: z.string(),
  servedAt: instantSchema,
  calls: z.array(loggedCallSchema).min(1),
}).superRefine(({ calls, features, classes }, context) => {
  calls.forEach((call, index) => {
    const refuse = (list: string, message: string) =>
      context.addIssue({ code: "custom", path: ["calls", index, list], message, input: undefined });
    for (const list of LISTS) {
      const length = call[list]?.length ?? call.ids.length;
      if (length !== call.ids.length) refuse(list, `has ${length} rows, and ids ${call.ids.length}`);
    }
    const isWide = (width: number) => (row: readonly unknown[]) => row.length === width;
    if (call.rows?.every(isWide(features.length)) === false) {
      refuse("rows", `must each have ${features.length} values`);
    }
    if (call.probabilities?.every(isWide(classes?.length ?? 0)) === false) {
      refuse("probabilities", `must each have ${classes?.length ?? 0} values`);
    }
  });
});
export type PredictionBlock = z.infer<typeof predictionBlockSchema>;

/** The records of a block, each as an event of its own. */
export function recordsOf(event: PlatformEvent<PredictionBlock>): PlatformEvent<PredictionRecord>[] {
  const servedAtMs = Date.parse(event.data.servedAt);
  return event.data.calls.flatMap((call) => {
    const servedAt = toInstant(servedAtMs + call.afterMs);
    return call.ids.map((id, row) => ({
      specversion: "1.0",
      id,
      source: event.source,
      type: event.type,
      time: call.at ?? servedAt,
      knownat: servedAt,
      definition: event.definition,
      ...(call.traceparent === undefined ? {} : { traceparent: call.traceparent }),
      data: recordOf(event.data, call, row, servedAt),
    }));
  });
}

function recordOf(
  block: PredictionBlock,
  call: LoggedCall,
  row: number,
  servedAt: Instant,
): PredictionRecord {
  const shadowOf = call.shadowOf?.[row] ?? null;
  const isAlwaysLogged = call.failure !== undefined && shadowOf === null;
  return {
    project: block.project,
    model: block.model,
    version: block.version,
    arm: block.arm,
    assigned: block.assigned,
    rerouted: block.rerouted,
    shadowOf,
    outcome: call.failure === undefined ? "ok" : "error",
    code: call.failure?.code ?? null,
    error: call.failure?.error ?? null,
    output: call.outputs?.[row] ?? null,
    probabilities: byName(block.classes ?? [], call.probabilities?.[row]) ?? null,
    entity: call.entities?.[row] ?? null,
    features: byName(block.features, call.rows?.[row]) ?? {},
    statuses: call.statuses?.[row] ?? {},
    marks: call.marks?.[row] ?? {},
    featuresFrom: block.featuresFrom,
    request: call.request?.[row] ?? null,
    featureService: block.featureService,
    position: call.position ?? null,
    snapshot: call.snapshot ?? null,
    latencyMs: call.latencyMs,
    servedAt,
    sample: isAlwaysLogged ? 1 : block.sample,
    instance: block.instance,
    boot: block.boot,
    sequence: call.sequence + row,
  };
}

function byName<Value>(
  names: readonly string[],
  values: readonly Value[] | undefined,
): Record<string, Value> | undefined {
  return values && Object.fromEntries(names.map((name, index) => [name, values[index]!]));
}

/** Headers of a message of the prediction log, for readers that count what never came. */
export const LOG_HEADER = {
  instance: "Microml-Log-Instance",
  boot: "Microml-Log-Boot",
  /** Records made so far by this boot of this model; those of them that never come were lost. */
  head: "Microml-Log-Head",
  /** Present on the last message of a boot that stopped in order. */
  closed: "Microml-Log-Closed",
} as const;
