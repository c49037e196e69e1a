/** feature-store: whether what was served holds, what features hold over time, who reads them, where they come from. @module */
import { z } from "zod";
import { endpoint } from "../endpoint.ts";
import { entitySchema } from "../entity_key.ts";
import { featureReferenceSchema, nameSchema } from "../names.ts";
import { instantSchema } from "../time.ts";

const service = "feature-store";

const valueSchema = z.union([z.number(), z.string(), z.boolean(), z.null()]);

/** How logged predictions of a model compare with their features computed anew. */
export const modelConsistencySchema = z.object({
  project: nameSchema,
  model: nameSchema,
  /** Predictions whose features were computed anew, and the values compared. */
  predictions: z.int(),
  values: z.int(),
  /** Predictions left out: nothing was looked up, a definition is gone, or a value of the request is not logged. */
  skipped: z.int(),
  /** Values that differ, and do not without the records that were applied after the read ... */
  explained: z.int(),
  /** ... and those that differ without them too: a defect. */
  unexplained: z.int(),
  /** Of the explained ones, how far behind the read was; null without one. */
  lag: z.object({
    /** Messages of CLEAN between the read's position and the newest record it did not see, at most; 0: all were pushed. */
    maxMessages: z.int(),
    /** From when a record that was not seen was known to T, milliseconds: the median and the most. */
    medianMs: z.number(),
    maxMs: z.number(),
  }).nullable(),
  /** The first unexplained ones. */
  examples: z.array(z.object({
    prediction: z.string(),
    entity: entitySchema,
    at: instantSchema,
    feature: featureReferenceSchema,
    served: valueSchema,
    computed: valueSchema,
  })),
});
export type ModelConsistency = z.infer<typeof modelConsistencySchema>;

export const consistencyCheckSchema = z.object({
  id: z.uuid(),
  at: instantSchema,
  /** `schedule`, or who asked. */
  actor: z.string(),
  models: z.array(modelConsistencySchema),
});
export type ConsistencyCheck = z.infer<typeof consistencyCheckSchema>;

export const checkConsistency = endpoint({
  service,
  verb: "check-consistency",
  http: { method: "post", path: "/v1/consistency-checks", status: 201 },
  summary: "Compute the features of logged predictions anew, and compare",
  request: z.object({
    /** Default: all. */
    model: nameSchema.optional(),
    /** Messages of the prediction log that are looked at, spread evenly over all that it keeps since then. */
    messages: z.int().min(1).max(500).default(50),
    since: instantSchema.optional(),
    /** Predictions of each message. */
    predictions: z.int().min(1).max(100).default(5),
  }),
  reply: consistencyCheckSchema,
  mutation: true,
});

export const listConsistencyChecks = endpoint({
  service,
  verb: "consistency-checks",
  http: { method: "get", path: "/v1/consistency-checks" },
  summary: "Consistency checks, newest first",
  request: z.object({ limit: z.coerce.number().int().min(1).max(100).default(20) }),
  reply: z.object({ checks: z.array(consistencyCheckSchema) }),
});

export const featureStatisticsSchema = z.object({
  feature: featureReferenceSchema,
  /** Of the view. */
  version: z.int().positive(),
  /** T: the project's clock. */
  at: instantSchema,
  /** Entities that were looked at, by status of the value. */
  statuses: z.object({ PRESENT: z.int(), NULL: z.int(), NOT_FOUND: z.int(), EXPIRED: z.int() }),
  distinct: z.int(),
  /** Of numbers; the quantiles to 1% of the value. */
  numbers: z.object({
    min: z.number(),
    max: z.number(),
    mean: z.number(),
    p05: z.number(),
    p50: z.number(),
    p95: z.number(),
  }).nullable(),
  /** From the newest record behind a value to T, milliseconds; null without a value. */
  freshness: z.object({ p50: z.number(), p95: z.number(), max: z.number() }).nullable(),
});
export type FeatureStatistics = z.infer<typeof featureStatisticsSchema>;

export const featureStatistics = endpoint({
  service,
  verb: "feature-statistics",
  http: { method: "get", path: "/v1/feature-statistics" },
  summary: "What features hold over time, sampled on a schedule, newest first",
  request: z.object({
    view: nameSchema,
    feature: nameSchema.optional(),
    /** Only what was sampled before. */
    before: instantSchema.optional(),
    limit: z.coerce.number().int().min(1).max(1_000).default(200),
  }),
  reply: z.object({ statistics: z.array(featureStatisticsSchema) }),
});

export const usage = endpoint({
  service,
  verb: "usage",
  http: { method: "get", path: "/v1/usage" },
  summary:
    "Which models and feature services read each feature, and how often views and services are read online",
  request: z.object({}),
  reply: z.object({
    features: z.array(z.object({
      feature: featureReferenceSchema,
      services: z.array(nameSchema),
      models: z.array(nameSchema),
    })),
    /** Online reads of the last 30 days; a read by service counts for the service, one by features for their views. */
    reads: z.array(z.object({
      kind: z.enum(["service", "view"]),
      name: nameSchema,
      reads: z.int(),
      entities: z.int(),
      lastDay: z.string(),
    })),
  }),
});

export const lineageKindSchema = z.enum(["source", "view", "service", "model"]);

const lineageNodeSchema = z.object({ kind: lineageKindSchema, name: nameSchema });
export type LineageNode = z.infer<typeof lineageNodeSchema>;

export const lineage = endpoint({
  service,
  verb: "lineage",
  http: { method: "get", path: "/v1/lineage" },
  summary: "What leads from sources over views and feature services to models",
  /** Of all, or of what leads to one node and from it. */
  request: z.object({ kind: lineageKindSchema.optional(), name: nameSchema.optional() }),
  reply: z.object({
    nodes: z.array(lineageNodeSchema.extend({ version: z.int().positive().nullable() })),
    edges: z.array(z.object({
      from: lineageNodeSchema,
      to: lineageNodeSchema,
      /** `view.feature` that are read there; empty where not features are read but records: by a view, a spine, a label. */
      features: z.array(featureReferenceSchema),
    })),
  }),
});
export type Lineage = z.infer<typeof lineage.spec.reply>;
