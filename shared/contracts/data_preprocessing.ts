/** data-preprocessing: what it owns, answers and publishes. @module */
import { z } from "zod";
import { listDefinitions, putDefinition, removeDefinition } from "./definition.ts";
import { endpoint } from "./endpoint.ts";
import { recordSchema } from "./envelope.ts";
import { nameSchema } from "./names.ts";
import { instantSchema } from "./time.ts";

const service = "data-preprocessing";
const field = z.string().min(1);
const fields = z.array(field).min(1);
/** A CEL expression over the record: `e.quantity * e.unit_price`. */
const expression = z.string().min(1).max(2_000);

/** Why a record is filtered or quarantined, in words. */
const reason = z.string().min(1).max(500);

/** What a cleaning does to each record, in order. */
export const stepSchema = z.discriminatedUnion("step", [
  z.object({ step: z.literal("select"), fields }),
  z.object({ step: z.literal("rename"), fields: z.record(field, field) }),
  z.object({ step: z.literal("trim"), fields }),
  /**
   * Empty text becomes null before the cast; what cannot be cast quarantines the record. `17850.0` is an integer,
   * `true`, `yes` and `1` are booleans, an instant is a time in ISO 8601 or one as people write it.
   */
  z.object({
    step: z.literal("cast"),
    fields,
    to: z.enum(["string", "integer", "number", "boolean", "instant"]),
  }),
  /** Where the field is missing or null. */
  z.object({
    step: z.literal("fill"),
    fields: z.record(field, z.union([z.string(), z.number(), z.boolean()])),
  }),
  /** Sets a field to the value of an expression. */
  z.object({ step: z.literal("derive"), field, expression }),
  /**
   * Keeps the records for which the expression is true; the others, null included, are counted as filtered, with
   * the reason. A record that has failed already is not filtered.
   */
  z.object({ step: z.literal("filter"), expression, reason }),
]);
export type Step = z.infer<typeof stepSchema>;

const action = z.enum(["warn", "quarantine"]);

/**
 * What must hold for a clean record. All failures of a record are found, not only the first. About a null, or an
 * expression that gives null, only `not_null` complains: the others hold.
 */
export const expectationSchema = z.discriminatedUnion("expect", [
  z.object({ expect: z.literal("not_null"), fields, action }),
  z.object({
    expect: z.literal("range"),
    field,
    min: z.number().optional(),
    max: z.number().optional(),
    action,
  }),
  z.object({
    expect: z.literal("set"),
    field,
    values: z.array(z.union([z.string(), z.number(), z.boolean()])),
    action,
  }),
  /** RE2 syntax, anchored nowhere. */
  z.object({ expect: z.literal("pattern"), field, pattern: z.string().min(1).max(1_000), action }),
  z.object({ expect: z.literal("row"), expression, message: reason, action }),
]);
export type Expectation = z.infer<typeof expectationSchema>;

/** How the records of the source of the same name are cleaned. */
export const cleaningBodySchema = z.object({
  steps: z.array(stepSchema).default([]),
  expectations: z.array(expectationSchema).default([]),
});
export type CleaningBody = z.infer<typeof cleaningBodySchema>;

export const putCleaning = putDefinition(service, "cleaning", cleaningBodySchema);
export const removeCleaning = removeDefinition(service, "cleaning");
export const definitions = listDefinitions(service);

/**
 * received = clean + filtered + quarantined + duplicates. Duplicates are events that data-ingestion published a
 * second time after a crash of its own; a redelivered message counts nothing.
 */
export const cleaningCountsSchema = z.object({
  source: z.string(),
  received: z.int(),
  clean: z.int(),
  filtered: z.int(),
  /** Filtered records by the reason of the filter. */
  filteredBy: z.record(z.string(), z.int()),
  quarantined: z.int(),
  duplicates: z.int(),
  /** Records that went on with a failed expectation whose action is `warn`. */
  warned: z.int(),
});
export type CleaningCounts = z.infer<typeof cleaningCountsSchema>;

export const counts = endpoint({
  service,
  verb: "counts",
  http: { method: "get", path: "/v1/counts" },
  summary: "What came of every ingested record, by source",
  request: z.object({ source: nameSchema.optional() }),
  reply: z.object({ sources: z.array(cleaningCountsSchema) }),
});

export const quarantined = endpoint({
  service,
  verb: "quarantined",
  http: { method: "get", path: "/v1/quarantined" },
  summary: "Quarantined records with all their reasons, newest first",
  request: z.object({
    source: nameSchema.optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    /** Continue after the `next` of the page before. */
    after: z.string().regex(/^[1-9]\d{0,15}$/, 'must be the "next" of a page').optional(),
  }),
  reply: z.object({
    quarantined: z.array(z.object({
      source: z.string(),
      id: z.string(),
      time: instantSchema,
      /** As it was ingested. */
      data: recordSchema,
      reasons: z.array(z.object({ path: z.string(), message: z.string() })).min(1),
    })),
    next: z.string().nullable(),
  }),
});
