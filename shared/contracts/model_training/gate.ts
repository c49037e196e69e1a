/** The gate: a candidate against the version of an alias. @module */
import { z } from "zod";
import { endpoint } from "../endpoint.ts";
import { featureReferenceSchema, nameSchema } from "../names.ts";
import { instantSchema } from "../time.ts";
import { metricSchema } from "./algorithm.ts";

const service = "model-training";

/** When a candidate may take the champion's place, judged on the same rows, later than either was trained on. */
export const gateSchema = z.object({
  /** What the metric must reach, whatever the champion's is: at least, or at most where smaller is better. */
  threshold: z.number().optional(),
  /** By how much the metric must improve, in its own unit ... */
  minAbsoluteGain: z.number().min(0).default(0),
  /** ... and relative to the champion's value. */
  minRelativeGain: z.number().min(0).default(0),
  /**
   * By how much, relative to the baseline's value, it must beat the trivial baseline. A champion that drift has made
   * worse than the baseline is beaten by models that have learnt nothing.
   */
  minBaselineGain: z.number().min(0).default(0),
  /** Rows below which the gate does not decide for the candidate. */
  minRows: z.int().positive().default(100),
  /** Slices of the rows, in none of which the candidate may be much worse than the champion. */
  slices: z.object({
    /** Each is cut at the edges of its reference bins, a category by its texts; missing values are a slice too. */
    features: z.array(featureReferenceSchema).min(1),
    /** By how much the metric may be worse, in its own unit. */
    maxLoss: z.number().min(0),
    /** Slices with fewer rows, or on which the metric is not defined, are passed over. */
    minRows: z.int().positive().default(50),
  }).optional(),
});
export type Gate = z.infer<typeof gateSchema>;

/** A slice on which two versions were compared. */
export const comparedSliceSchema = z.object({
  feature: featureReferenceSchema,
  /** The values are above `above` and at most `upTo`; null is open, all three null stands for missing values. */
  above: z.number().nullable(),
  upTo: z.number().nullable(),
  /** Of a category: the text; the empty one for all texts that have no reference bin of their own. */
  text: z.string().nullable().default(null),
  rows: z.int(),
  candidateValue: z.number(),
  championValue: z.number(),
  /** In the metric's unit, positive when the candidate is better. */
  gain: z.number(),
});
export type ComparedSlice = z.infer<typeof comparedSliceSchema>;

export const comparisonSchema = z.object({
  id: z.uuid(),
  candidate: z.int(),
  /** Null when the alias pointed to nothing: then the candidate has only the baseline to beat. */
  champion: z.int().nullable(),
  metric: metricSchema,
  rows: z.int(),
  candidateValue: z.number().nullable(),
  championValue: z.number().nullable(),
  /** Of the prior of the candidate's training part, on the same rows. */
  baselineValue: z.number().nullable(),
  /** In the metric's unit, positive when the candidate is better. */
  gain: z.number().nullable(),
  /** Worst first; empty where the gate names no slices. */
  slices: z.array(comparedSliceSchema),
  passed: z.boolean(),
  reasons: z.array(z.string()),
});
export type Comparison = z.infer<typeof comparisonSchema>;

export const compareVersions = endpoint({
  service,
  verb: "compare",
  http: { method: "post", path: "/v1/models/{model}/comparisons", status: 201 },
  summary: "Judge a candidate against the version of an alias by the model's gate",
  request: z.object({
    model: nameSchema,
    candidate: z.int().positive(),
    /** The alias the candidate would take. */
    against: nameSchema.default("champion"),
  }),
  reply: comparisonSchema,
  mutation: true,
});

/** A comparison as it is kept. */
export const keptComparisonSchema = comparisonSchema.extend({
  model: nameSchema,
  against: nameSchema,
  trainingSet: z.string(),
  /** As it was defined then. */
  gate: gateSchema,
  /** T of the first and the last row judged. */
  from: instantSchema.nullable(),
  until: instantSchema.nullable(),
  actor: z.string(),
  at: instantSchema,
});
export type KeptComparison = z.infer<typeof keptComparisonSchema>;

export const listComparisons = endpoint({
  service,
  verb: "comparisons",
  http: { method: "get", path: "/v1/models/{model}/comparisons" },
  summary: "Judgements of the gate with their numbers, newest first",
  request: z.object({
    model: nameSchema,
    /** Only of this candidate. */
    candidate: z.coerce.number().int().positive().optional(),
    limit: z.coerce.number().int().min(1).max(500).default(50),
    /** The `next` of the page before. */
    after: z.uuid().optional(),
  }),
  reply: z.object({ comparisons: z.array(keptComparisonSchema), next: z.uuid().nullable() }),
});
