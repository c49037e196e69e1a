/** feature-store: what it owns, answers and publishes. @module */
export * from "./feature_store/insight.ts";
export * from "./feature_store/label.ts";
export * from "./feature_store/training_set.ts";
import { z } from "zod";
import { listDeadLetters, redriveDeadLetters } from "./dead_letters.ts";
import { listDefinitions, putDefinition, removeDefinition } from "./definition.ts";
import { endpoint } from "./endpoint.ts";
import { eventIdSchema } from "./envelope.ts";
import { entitySchema, keyTypeSchema } from "./entity_key.ts";
import { featureReferenceSchema, featureReferencesSchema, nameSchema } from "./names.ts";
import { storableTextSchema } from "./storable_text.ts";
import { durationSchema, instantSchema } from "./time.ts";

const service = "feature-store";
const expression = z.string().min(1).max(2_000);
const described = {
  owner: z.string().default(""),
  description: z.string().default(""),
  tags: z.array(z.string()).default([]),
};

/** Something that features describe: its key parts, which are fields of the clean records, in order. */
export const entityBodySchema = z.object({
  keys: z.record(nameSchema, keyTypeSchema).refine((keys) => Object.keys(keys).length > 0, "must name a key"),
  ...described,
});
export type EntityBody = z.infer<typeof entityBodySchema>;

const windowed = {
  /** Records count whose event time lies in (floor(T - window, hop), T]; `null`: the lifetime. Longer than nothing. */
  window: durationSchema.nullable(),
  /** CEL filter over the record: `!e.cancelled`. One that gives null, or can't be computed, does not hold. */
  where: expression.optional(),
};

/** Distinct values that are counted exactly: in a window that holds more of them the result is approximate, and marked so. */
const exactUpTo = z.int().min(1).max(10_000).default(1_000);

/**
 * One feature of a view, as a function of (entity, T). Counts and sums of nothing are 0, other aggregates of nothing
 * null. `sum`, `mean`, `min`, `max` and `deviation` (of the sample: n - 1) read numbers, and booleans as 0 and 1;
 * `first` and `last` go by (event time, id) and give null where the field is null; `last` over the lifetime is the
 * latest value.
 */
export const featureSchema = z.union([
  z.object({ aggregate: z.literal("count"), ...windowed }),
  /** Records per `per`, over the declared length of the window. */
  z.object({
    aggregate: z.literal("rate"),
    per: durationSchema.default("P1D"),
    ...windowed,
    window: durationSchema,
  }),
  z.object({
    aggregate: z.enum(["sum", "mean", "min", "max", "deviation", "first", "last"]),
    field: z.string().min(1),
    ...windowed,
  }),
  /** `most_frequent`: of texts, numbers and booleans; of equally frequent ones the first by its JSON text. */
  z.object({
    aggregate: z.enum(["distinct_count", "most_frequent"]),
    field: z.string().min(1),
    exactUpTo,
    ...windowed,
  }),
  /** Days between T and the latest (`since_last`) or first (`since_first`) record; null without one. */
  z.object({ aggregate: z.enum(["since_last", "since_first"]), ...windowed }),
  /**
   * CEL over other features: `f.spend_90d / f.orders_90d` of this view, `f["visits.visits_7d"]` of another view of the
   * same entity; and over values that come with the request (`r.basket / f.mean_basket`), which makes it an
   * on-demand feature. Null where it can not be computed, as with null in arithmetic, or the result is not finite; an
   * expression may ask for null (`f.best == null ? 0 : f.best`).
   */
  z.object({ expression }),
]);
export type Feature = z.infer<typeof featureSchema>;

/** Features of one entity over one clean source. */
export const viewBodySchema = z.object({
  entity: nameSchema,
  source: nameSchema,
  /**
   * Windows move in steps of this length, multiples of it since 1970-01-05T00:00Z, a Monday. Default: the largest
   * clean unit (1 s ... 12 h, 1 d, 7 d) that is not longer than window / 60.
   */
  hop: durationSchema.optional(),
  /** Values are EXPIRED when the entity's newest record in this view is older than this at T; default: never. */
  ttl: durationSchema.nullable().default(null),
  features: z.record(nameSchema, featureSchema).refine(
    (all) => Object.keys(all).length > 0,
    "must name a feature",
  ),
  /** What a request must bring for the on-demand features: `r.<name>` in their expressions. */
  request: z.record(nameSchema, z.enum(["number", "string", "boolean"])).default({}),
  ...described,
});
export type ViewBody = z.infer<typeof viewBodySchema>;

/**
 * A versioned set of features, in the order in which a model takes them. A version stays with the versions of the views
 * that were in force when it was made; a change of one of its views makes a new version of it.
 */
export const featureServiceBodySchema = z.object({
  features: featureReferencesSchema,
  ...described,
});
export type FeatureServiceBody = z.infer<typeof featureServiceBodySchema>;

export const putEntity = putDefinition(service, "entity", entityBodySchema);
export const removeEntity = removeDefinition(service, "entity");
export const putView = putDefinition(service, "view", viewBodySchema);
export const removeView = removeDefinition(service, "view");
export const putFeatureService = putDefinition(service, "feature-service", featureServiceBodySchema);
export const removeFeatureService = removeDefinition(service, "feature-service");
export const definitions = listDefinitions(service);

export const deadLetters = listDeadLetters(service);
export const redriveDead = redriveDeadLetters(service);

/**
 * What a value is: there, null, no record of the entity in the view by T, or older than the view's TTL. The value is
 * null for all but PRESENT.
 */
export const featureStatusSchema = z.enum(["PRESENT", "NULL", "NOT_FOUND", "EXPIRED"]);
export type FeatureStatus = z.infer<typeof featureStatusSchema>;

export const featureValueSchema = z.union([z.number(), z.string(), z.boolean(), z.null()]);
export type FeatureValue = z.infer<typeof featureValueSchema>;

/** A value that an on-demand feature reads; null where the caller has none. */
export const requestValuesSchema = z.record(
  nameSchema,
  z.union([z.number(), storableTextSchema, z.boolean(), z.null()]),
);
export type RequestValues = z.infer<typeof requestValuesSchema>;

/**
 * `then`: a record counts when it was known by T. `now`: whatever is known today counts, which a model at T could not
 * have seen.
 */
export const asKnownSchema = z.enum(["then", "now"]);
export type AsKnown = z.infer<typeof asKnownSchema>;

/** A version of a view. */
export const viewVersionSchema = z.object({ name: nameSchema, version: z.int().positive() });
export type ViewVersion = z.infer<typeof viewVersionSchema>;

export const online = endpoint({
  service,
  verb: "online",
  http: { method: "post", path: "/v1/features/online" },
  summary: "Read the features of entities at T",
  request: z.object({
    /** A feature service in its newest or a stated version, or features named singly. */
    features: z.union([
      z.object({ service: nameSchema, version: z.int().positive().optional() }),
      featureReferencesSchema,
    ]),
    entities: z.array(entitySchema).min(1).max(1_000),
    /** T; default: now by the project clock, as far as its events are applied. */
    asOf: instantSchema.optional(),
    asKnown: asKnownSchema.default("then"),
    /** Values for the on-demand features: one for all entities, or one for each. */
    request: z.union([requestValuesSchema, z.array(requestValuesSchema)]).optional(),
    /** Answers when the CLEAN stream is applied up to this sequence; an error (`timeout`) when the time runs out. */
    waitFor: z.object({
      position: z.int().nonnegative(),
      timeoutMs: z.int().min(1).max(30_000).default(5_000),
    }).optional(),
    /** The first entity to answer for: `next` of the page before. Give that page's `at` as `asOf`. */
    from: z.int().nonnegative().default(0),
  }),
  reply: z.object({
    features: z.array(featureReferenceSchema),
    /** The version of the feature service, when one was asked for. */
    version: z.int().positive().nullable(),
    /** The versions of the views that the values are of. */
    views: z.array(viewVersionSchema).default([]),
    at: instantSchema,
    /** CLEAN stream sequence up to which the feature store had applied everything; it may have applied more. */
    position: z.int().nonnegative(),
    /** What exactly it had applied, pushes too: the transactions that the read saw, as PostgreSQL's `pg_snapshot`. */
    snapshot: z.string(),
    rows: z.array(z.object({
      entity: entitySchema,
      values: z.array(featureValueSchema),
      statuses: z.array(featureStatusSchema),
      /** Event time of the newest record behind each value. */
      eventTimes: z.array(instantSchema.nullable()),
      /** Positions of the values that are approximate; absent: none is. */
      approximate: z.array(z.int().nonnegative()).optional(),
    })),
    /** Over the bus, where the answer is larger than a message: where the next page begins. Null: this is the last. */
    next: z.int().positive().nullable().default(null),
  }),
});

export const push = endpoint({
  service,
  verb: "push",
  http: { method: "post", path: "/v1/views/{view}/push" },
  summary: "Store features that were computed elsewhere; reads after the answer see them",
  request: z.object({
    /** They become records of this view's source, as if they had come on its stream. */
    view: nameSchema,
    rows: z.array(z.object({
      entity: entitySchema,
      /** Fields of the record, as the view's features read them. */
      values: z.record(z.string().min(1), featureValueSchema),
      /** Event time; default: now by the project clock. */
      time: instantSchema.optional(),
      /** Names the record: the same one is stored once. Default: a new one. */
      id: eventIdSchema.optional(),
    })).min(1).max(1_000),
  }),
  reply: z.object({
    /** Records that were not there before. */
    stored: z.int().nonnegative(),
    ids: z.array(z.string()),
    /** Event time of the rows that named none. */
    at: instantSchema,
  }),
  mutation: true,
});

/** How far a version of a view is made ready for online reads; before that they go to the records. */
export const viewProgressSchema = z.object({
  name: nameSchema,
  version: z.int().positive(),
  status: z.enum(["building", "ready", "retired"]),
  /** Between 0 and 1. */
  progress: z.number().min(0).max(1),
});

export type ViewProgress = z.infer<typeof viewProgressSchema>;

export const viewVersions = endpoint({
  service,
  verb: "view-versions",
  http: { method: "get", path: "/v1/view-versions" },
  summary: "The versions of views, and how far each is filled from history",
  request: z.object({ view: nameSchema.optional() }),
  reply: z.object({ versions: z.array(viewProgressSchema) }),
});

/** received = records + unused + duplicates + refused. */
export const countsRowSchema = z.object({
  source: z.string(),
  received: z.int(),
  /** Events stored as records of at least one entity. */
  records: z.int(),
  /** Events of a source that no view has ever read. */
  unused: z.int(),
  duplicates: z.int(),
  /** Events without the key of any entity that their source's views describe, and those that can't be stored. */
  refused: z.int(),
});
export const counts = endpoint({
  service,
  verb: "counts",
  http: { method: "get", path: "/v1/counts" },
  summary: "What came of every clean event, by source",
  request: z.object({}),
  reply: z.object({ sources: z.array(countsRowSchema) }),
});
