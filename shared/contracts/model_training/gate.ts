/** The gate: a candidate against the version of an alias. @module */
import { z } from "zod";
import { endpoint } from "../endpoint.ts";
import { nameSchema } from "../names.ts";
import { metricSchema } from "./algorithm.ts";

const service = "model-training";

/** When a candidate may take the champion's place, judged on the same rows, later than either was trained on. */
export const gateSchema = z.object({
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
});
export type Gate = z.infer<typeof gateSchema>;

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
  reply: z.object({
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
    passed: z.boolean(),
    reasons: z.array(z.string()),
  }),
  mutation: true,
});
export type Comparison = z.infer<typeof compareVersions.spec.reply>;
