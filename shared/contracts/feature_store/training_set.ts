/** feature-store: training sets as jobs, and what is in their files. @module */
import { z } from "zod";
import { endpoint } from "../endpoint.ts";
import { recordSchema } from "../envelope.ts";
import { featureReferenceSchema, nameSchema } from "../names.ts";
import { instantSchema } from "../time.ts";
import { labelSchema, spineSchema } from "./label.ts";

const service = "feature-store";

/**
 * The columns of a training set's Parquet file besides the features, which follow them, named `view.feature`, in the
 * order of the feature service, and after these what is carried from a given spine. Features are DOUBLE, BOOLEAN or
 * text by what they hold. Rows of a declared spine are ordered by T, then by entity key; those of a given one as they
 * were given. Read it with shared/training_set_file.ts.
 */
export const TRAINING_SET_COLUMN = {
  entity: "entity",
  /** T, milliseconds since 1970 (INT64, TIMESTAMP_MILLIS). */
  time: "t",
  /** DOUBLE, BOOLEAN or text; null where the row is immature: T + within lies after the clock. */
  label: "label",
  /** BOOLEAN, only where a mature row may have no label: false where the row is immature. */
  mature: "mature",
} as const;

/** Rows that may stand in a request; more of them come as a file. */
export const MAX_INLINE_ROWS = 10_000;

/** A column of a given spine: never named like a feature (`view.feature`) or a column of the set's own. */
const spineColumnSchema = z.string().min(1).max(200).refine(
  (name) => !name.includes(".") && !(Object.values(TRAINING_SET_COLUMN) as string[]).includes(name),
  `must hold no dot, and be none of ${Object.values(TRAINING_SET_COLUMN).join(", ")}`,
);

const given = {
  /** The column that holds T: an instant, a date, or a number of milliseconds since 1970 (not of CSV, which holds text). */
  time: z.string().min(1).default("t"),
  /** Columns that the training set takes over as they are: numbers, booleans or text. */
  carry: z.array(spineColumnSchema).max(1_000).default([]),
};

/**
 * Which (entity, T) pairs to observe, given row by row: the parts of the entity's key under their names, T, and
 * whatever else: values that on-demand features ask for, columns to carry, a label. Rows out are rows in, in their
 * order, repeated ones too.
 */
export const givenSpineSchema = z.union([
  z.object({ rows: z.array(recordSchema).max(MAX_INLINE_ROWS), ...given }),
  /** A file in the object store (`POST /v1/spine-files` puts it there), under its SHA-256. */
  z.object({
    file: z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in 64 lower-case hexadecimal digits"),
    format: z.enum(["csv", "ndjson", "parquet"]),
    /** Of CSV, whose values are text: numbers are read where a column is carried and all of it is numbers. */
    delimiter: z.string().length(1).default(","),
    ...given,
  }),
]);
export type GivenSpine = z.infer<typeof givenSpineSchema>;

export const trainingSetStateSchema = z.enum(["queued", "running", "done", "failed", "cancelled"]);

const sourceRangeSchema = z.object({
  /** Records read. */
  records: z.int(),
  /** Event times of the first and the last of them; null without records. */
  from: instantSchema.nullable(),
  to: instantSchema.nullable(),
});

export const trainingSetStatusSchema = z.object({
  id: z.uuid(),
  project: nameSchema,
  status: trainingSetStateSchema,
  /** Between 0 and 1. */
  progress: z.number().min(0).max(1),
  error: z.string().nullable(),
  createdAt: instantSchema,
  finishedAt: instantSchema.nullable(),
  /** When done: the object in the file store, and what is in it. */
  result: z.object({
    sha256: z.string(),
    bytes: z.int(),
    rows: z.int(),
    /** Rows without a label, because T + within lies after the clock; those that were dropped are not among them. */
    immature: z.int(),
    /** Immature rows left out, as it was asked. */
    dropped: z.int(),
    manifest: z.object({
      featureService: z.object({ name: nameSchema, version: z.int() }),
      views: z.array(z.object({ name: nameSchema, version: z.int() })),
      features: z.array(featureReferenceSchema),
      /**
       * By feature: the greatest of event time - T over the rows, in milliseconds, of the newest record behind a value.
       * Above 0 a value was made of what had not happened at T. Null where no record is behind any value; a training set
       * that was built before these were kept has none.
       */
      leads: z.record(featureReferenceSchema, z.int().nullable()).default({}),
      /** First and last T of the rows; null without rows. */
      from: instantSchema.nullable(),
      to: instantSchema.nullable(),
      /** The project's clock when the training set was asked for. */
      clock: instantSchema,
      asKnown: z.enum(["then", "now"]),
      /** What was read, by source. */
      sources: z.record(nameSchema, sourceRangeSchema),
      /** CLEAN stream sequence up to which everything was applied when it was read; more may have been. */
      position: z.int().nonnegative(),
    }),
  }).nullable(),
});
export type TrainingSetStatus = z.infer<typeof trainingSetStatusSchema>;

export const buildTrainingSet = endpoint({
  service,
  verb: "build-training-set",
  http: { method: "post", path: "/v1/training-sets", status: 202 },
  summary: "Start building a training set",
  request: z.object({
    project: nameSchema,
    entity: nameSchema,
    featureService: z.object({ name: nameSchema, version: z.int().positive().optional() }),
    spine: z.union([spineSchema, givenSpineSchema]),
    /** Looked up, or a column of the given spine (numbers, booleans or text); default: the label column is empty. */
    label: z.union([labelSchema, z.object({ column: z.string().min(1) })]).optional(),
    /** What becomes of rows whose T + within lies after the clock. */
    immature: z.enum(["keep", "drop"]).default("keep"),
    /** `then`: features see what was known by T. `now`: all that is known today, as if it had been known at once. */
    asKnown: z.enum(["then", "now"]).default("then"),
    /** Of a declared spine, first and last T; default: from the first record to the project clock. None lies after it. */
    from: instantSchema.optional(),
    to: instantSchema.optional(),
  }),
  reply: z.object({ id: z.uuid() }),
  mutation: true,
});

export const getTrainingSet = endpoint({
  service,
  verb: "training-set",
  http: { method: "get", path: "/v1/training-sets/{id}" },
  summary: "Progress and result of a training set",
  request: z.object({ id: z.uuid() }),
  reply: trainingSetStatusSchema,
});

export const listTrainingSets = endpoint({
  service,
  verb: "training-sets",
  http: { method: "get", path: "/v1/training-sets" },
  summary: "Training sets, newest first",
  request: z.object({
    project: nameSchema.optional(),
    status: trainingSetStateSchema.optional(),
    /** `next` of the page before. */
    after: z.uuid().optional(),
    limit: z.coerce.number().int().min(1).max(100).default(50),
  }),
  reply: z.object({ trainingSets: z.array(trainingSetStatusSchema), next: z.uuid().nullable() }),
});

export const cancelTrainingSet = endpoint({
  service,
  verb: "cancel-training-set",
  http: { method: "post", path: "/v1/training-sets/{id}/cancel" },
  summary: "Stop a training set that is not done; one that ended stays as it is",
  request: z.object({ id: z.uuid() }),
  reply: trainingSetStatusSchema,
  mutation: true,
});

/** What a column of a training set holds. */
export const columnStatisticsSchema = z.object({
  name: z.string(),
  type: z.enum(["number", "boolean", "text"]),
  /** Rows by status of the value; of a label only PRESENT and NULL. */
  statuses: z.object({ PRESENT: z.int(), NULL: z.int(), NOT_FOUND: z.int(), EXPIRED: z.int() }),
  /** Distinct values, null not counted. */
  distinct: z.int(),
  /** Of numbers and booleans (as 0 and 1), exact; quantiles are the values at rank floor(q (n - 1)). Null without a value. */
  numbers: z.object({
    min: z.number(),
    max: z.number(),
    mean: z.number(),
    p05: z.number(),
    p25: z.number(),
    p50: z.number(),
    p75: z.number(),
    p95: z.number(),
  }).nullable(),
  /** Of text: the ten most frequent values, with their rows. */
  top: z.array(z.object({ value: z.string(), rows: z.int() })),
});
export type ColumnStatistics = z.infer<typeof columnStatisticsSchema>;

export const trainingSetStatistics = endpoint({
  service,
  verb: "training-set-statistics",
  http: { method: "get", path: "/v1/training-sets/{id}/statistics" },
  summary: "What the label and the features of a training set hold, in the order of the file",
  request: z.object({
    id: z.uuid(),
    /** Columns left out before the first one: `next` of the page before. */
    after: z.coerce.number().int().nonnegative().default(0),
    limit: z.coerce.number().int().min(1).max(1_000).default(500),
  }),
  reply: z.object({ columns: z.array(columnStatisticsSchema), next: z.int().nullable() }),
});
