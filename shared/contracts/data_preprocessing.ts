/** data-preprocessing: what it owns, answers and publishes. @module */
import { z } from "zod";
import { cleaningBodySchema } from "./cleaning.ts";
import { listDeadLetters, redriveDeadLetters } from "./dead_letters.ts";
import { listDefinitions, putDefinition, removeDefinition } from "./definition.ts";
import { endpoint } from "./endpoint.ts";
import { recordSchema } from "./envelope.ts";
import { nameSchema } from "./names.ts";
import { durationSchema, instantSchema } from "./time.ts";

const service = "data-preprocessing";
export const putCleaning = putDefinition(service, "cleaning", cleaningBodySchema);
export const removeCleaning = removeDefinition(service, "cleaning");
export const definitions = listDefinitions(service);

/**
 * received + exploded = clean + filtered + quarantined + duplicates + held. Duplicates are events that data-ingestion
 * published a second time after a crash of its own; a redelivered message counts nothing.
 */
export const cleaningCountsSchema = z.object({
  source: z.string(),
  received: z.int(),
  /** Records that `explode` steps made beyond the first of each. */
  exploded: z.int(),
  clean: z.int(),
  filtered: z.int(),
  /** Filtered records by the reason of the filter. */
  filteredBy: z.record(z.string(), z.int()),
  quarantined: z.int(),
  duplicates: z.int(),
  /** Of a blocked source: received, and not looked at yet. */
  held: z.int(),
  /** Records that went on with a failed expectation whose action is `warn`. */
  warned: z.int(),
});
export type CleaningCounts = z.infer<typeof cleaningCountsSchema>;

export const counts = endpoint({
  service,
  verb: "counts",
  http: { method: "get", path: "/v1/counts" },
  summary: "What came of every ingested record, by source",
  request: z.object({
    source: nameSchema.optional(),
    /** Of this replay instead of the live flow. */
    run: nameSchema.optional(),
  }),
  reply: z.object({ sources: z.array(cleaningCountsSchema) }),
});

const pageMark = z.string().regex(/^[1-9]\d{0,15}$/, 'must be the "next" of a page');
const reasonSchema = z.object({ path: z.string(), message: z.string() });

export const quarantinedRecordSchema = z.object({
  /** What names it, to redrive it. */
  number: z.int().positive(),
  source: z.string(),
  id: z.string(),
  time: instantSchema,
  /** The replay it belongs to; null: the live flow. */
  run: nameSchema.nullable(),
  /** As it was ingested. */
  data: recordSchema,
  reasons: z.array(reasonSchema).min(1),
});

export const quarantined = endpoint({
  service,
  verb: "quarantined",
  http: { method: "get", path: "/v1/quarantined" },
  summary: "Quarantined records with all their reasons, newest first",
  request: z.object({
    source: nameSchema.optional(),
    /** One of their reasons is about this place, as a JSON Pointer. */
    path: z.string().optional(),
    run: nameSchema.optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    /** Continue after the `next` of the page before. */
    after: pageMark.optional(),
  }),
  reply: z.object({ quarantined: z.array(quarantinedRecordSchema), next: z.string().nullable() }),
});

/** Cleans quarantined records of the live flow again, by the cleaning as it is now. */
export const redriveQuarantined = endpoint({
  service,
  verb: "redrive-quarantined",
  http: { method: "post", path: "/v1/quarantined/redrive" },
  summary: "Clean quarantined records again, oldest first",
  request: z.object({
    source: nameSchema.optional(),
    path: z.string().optional(),
    numbers: z.array(z.int().positive()).min(1).max(1_000).optional(),
    /** With exactly one number: fields to set in the record before it is cleaned; null removes one. */
    fix: recordSchema.optional(),
    /** Records of one call; go on with `after: next` until it is null. */
    limit: z.int().min(1).max(1_000).default(500),
    after: pageMark.optional(),
  }),
  reply: z.object({
    clean: z.int(),
    filtered: z.int(),
    quarantined: z.int(),
    next: z.string().nullable(),
  }),
  mutation: true,
});

export const deadLetters = listDeadLetters(service);
export const redriveDead = redriveDeadLetters(service);

/**
 * A source that is held because an expectation with the action `block` failed; also the entry of the bucket `blocks`,
 * by source. Training sets over event times from `since` on are refused until it is released.
 */
export const blockSchema = z.object({
  source: nameSchema,
  project: nameSchema.nullable(),
  /** Event time of the first record, or beginning of the window, that failed. */
  since: instantSchema,
  at: instantSchema,
  reasons: z.array(z.string()).min(1),
  /** Records held. */
  held: z.int(),
});
export type Block = z.infer<typeof blockSchema>;

export const listBlocks = endpoint({
  service,
  verb: "blocks",
  http: { method: "get", path: "/v1/blocks" },
  summary: "Sources that are held, and why",
  request: z.object({
    limit: z.coerce.number().int().min(1).max(200).default(100),
    /** Continue after the `next` of the page before. */
    after: nameSchema.optional(),
  }),
  reply: z.object({ blocks: z.array(blockSchema), next: z.string().nullable() }),
});

export const releaseBlock = endpoint({
  service,
  verb: "release-block",
  http: { method: "post", path: "/v1/blocks/{source}/release" },
  summary: "Let a held source go on, in the order in which its records came",
  request: z.object({ source: nameSchema, reason: z.string().min(1).max(500) }),
  reply: z.object({ released: z.boolean(), held: z.int() }),
  mutation: true,
});

/** One record through a cleaning that need not be in force, step by step. Nothing is stored. */
export const previewCleaning = endpoint({
  service,
  verb: "preview",
  http: { method: "post", path: "/v1/cleanings/{name}/preview" },
  summary: "Try a cleaning on a sample: every record before and after each step",
  request: z.object({
    /** The source. */
    name: nameSchema,
    /** Default: the cleaning in force. */
    body: cleaningBodySchema.optional(),
    /** Default: the stored records that arrived last. */
    records: z.array(recordSchema).min(1).max(100).optional(),
    limit: z.int().min(1).max(100).default(10),
  }),
  reply: z.object({
    records: z.array(z.object({
      id: z.string(),
      before: recordSchema,
      steps: z.array(z.object({
        step: z.string(),
        /** Records after the step: none when it was filtered, several when it was exploded. */
        after: z.array(recordSchema),
        reasons: z.array(reasonSchema),
      })),
      outcome: z.enum(["clean", "filtered", "quarantined"]),
      reasons: z.array(reasonSchema),
      warnings: z.array(reasonSchema),
    })),
    /** How the sample fares, by outcome. */
    outcomes: z.object({ clean: z.int(), filtered: z.int(), quarantined: z.int() }),
  }),
});

/** What the clean records of a window say about one field. */
export const fieldProfileSchema = z.object({
  field: z.string(),
  /** How many values of each JSON type. */
  types: z.record(z.string(), z.int()),
  /** Records in which it is missing or null. */
  nulls: z.int(),
  /** Of texts, numbers and booleans: an estimate (HyperLogLog, about 2% standard error), exact up to 256. */
  distinct: z.int(),
  /** Of numbers, and of instants as milliseconds since 1970; null where there are none. */
  numbers: z.object({
    count: z.int(),
    min: z.number(),
    max: z.number(),
    mean: z.number(),
    /** Of the sample, n - 1; 0 for one value. */
    deviation: z.number(),
    /** DDSketch, 1% relative. */
    quantiles: z.object({
      p01: z.number(),
      p05: z.number(),
      p25: z.number(),
      p50: z.number(),
      p75: z.number(),
      p95: z.number(),
      p99: z.number(),
    }),
  }).nullable(),
  /** Lengths of texts. */
  lengths: z.object({ min: z.int(), max: z.int(), mean: z.number() }).nullable(),
  /**
   * Values that are certainly more frequent than any left out, as text, of at most 100 characters; counts are lower
   * bounds (Misra-Gries).
   */
  top: z.array(z.object({ value: z.string(), count: z.int() })),
});
export type FieldProfile = z.infer<typeof fieldProfileSchema>;

export const profileSchema = z.object({
  source: nameSchema,
  window: durationSchema,
  from: instantSchema,
  until: instantSchema,
  count: z.int(),
  fields: z.array(fieldProfileSchema),
  /** Against the window before, and against the declared schema. */
  anomalies: z.array(z.object({ field: z.string(), kind: z.string(), message: z.string() })),
});
export type Profile = z.infer<typeof profileSchema>;

/** `GET /v1/profiles/{source}/picture.svg` draws the newest of them. */
export const profiles = endpoint({
  service,
  verb: "profiles",
  http: { method: "get", path: "/v1/profiles/{source}" },
  summary: "Profiles of a source's clean records by window of event time, newest first",
  request: z.object({
    source: nameSchema,
    limit: z.coerce.number().int().min(1).max(50).default(5),
    /** Windows that begin before this. */
    before: instantSchema.optional(),
  }),
  reply: z.object({ profiles: z.array(profileSchema) }),
});
