/** feature-store: labels, as training sets hold them and as the stream LABELS tells them. @module */
import { z } from "zod";
import { putDefinition, removeDefinition } from "../definition.ts";
import { endpoint } from "../endpoint.ts";
import { entitySchema } from "../entity_key.ts";
import { nameSchema } from "../names.ts";
import { durationSchema, instantSchema } from "../time.ts";

const service = "feature-store";
const expression = z.string().min(1).max(2_000);

/** A label: a function of (entity, T) that looks at (T, T + within], whenever its records became known. */
export const labelSchema = z.object({
  /** A source over which a view of the same entity exists. */
  source: nameSchema,
  /**
   * `exists`: did a matching record happen (0 or 1); `count`; `sum` of a field; `next`: the field of the first
   * matching record by (event time, id), null when none came.
   */
  aggregate: z.enum(["exists", "count", "sum", "next"]),
  field: z.string().min(1).optional(),
  where: expression.optional(),
  within: durationSchema,
}).refine(
  (label) => ["sum", "next"].includes(label.aggregate) === (label.field !== undefined),
  "a sum or a next value, and only these, names a field",
);
export type Label = z.infer<typeof labelSchema>;

/** At each tick, every entity with a matching record in (T - activeWithin, T] that was known by T. */
export const tickSpineSchema = z.object({
  /** A source over which a view of the same entity exists. */
  source: nameSchema,
  where: expression.optional(),
  /** Ticks are multiples of this since 1970-01-05T00:00Z, a Monday. */
  every: durationSchema,
  activeWithin: durationSchema,
});
export type TickSpine = z.infer<typeof tickSpineSchema>;

/**
 * At each matching event, the entity it is about. T is when the event had happened and was known, so that the event at
 * T counts in its own row.
 */
export const eventSpineSchema = z.object({
  source: nameSchema,
  where: expression.optional(),
  each: z.literal("event"),
});
export type EventSpine = z.infer<typeof eventSpineSchema>;

/** Which (entity, T) pairs to observe, declared. */
export const spineSchema = z.union([tickSpineSchema, eventSpineSchema]);
export type Spine = z.infer<typeof spineSchema>;

/** What a model's outcomes are: of each (entity, T) of the spine, as it matures. By model. */
export const modelLabelBodySchema = z.object({
  entity: nameSchema,
  spine: spineSchema,
  label: labelSchema,
  /** The first T; default: the first record's. */
  observeFrom: instantSchema.optional(),
});
export type ModelLabelBody = z.infer<typeof modelLabelBodySchema>;

export const putLabel = putDefinition(service, "label", modelLabelBodySchema);
export const removeLabel = removeDefinition(service, "label");

export const labelValueSchema = z.union([z.number(), z.string(), z.boolean(), z.null()]);

/**
 * Data of a `labels.<model>` event: an outcome. Anyone may publish one. Its `source` is the model, its `time` T, its
 * `knownat` when the outcome was settled, its `id` what names it: here `<entity key>@<T>`. `definition` is the
 * revision, from 1: a later one of the same id takes the place of the one before.
 */
export const labelRecordSchema = z.object({
  project: nameSchema,
  model: nameSchema,
  entity: entitySchema,
  /** T + within. */
  maturedAt: instantSchema,
  value: labelValueSchema,
  /** The revision before, where this one corrects it. */
  corrects: z.int().positive().nullable(),
  /** The version of the label's definition. */
  labelVersion: z.int().positive(),
});
export type LabelRecord = z.infer<typeof labelRecordSchema>;

export const labelProgress = endpoint({
  service,
  verb: "label-progress",
  http: { method: "get", path: "/v1/labels/{model}/progress" },
  summary: "How far the labels of a model are published",
  request: z.object({ model: nameSchema }),
  reply: z.object({
    model: nameSchema,
    version: z.int().positive(),
    /** Labels of T up to this are published; null before the first. */
    maturedUntil: instantSchema.nullable(),
    published: z.int(),
    /** Of these, corrections of labels that were published before. */
    corrections: z.int(),
    /** Labels of T up to this are corrected no more; null: all are. */
    forgottenUntil: instantSchema.nullable(),
  }),
});
