/** How the rows of a run are split, and how good parameters are searched for. @module */
import { z } from "zod";
import { durationSchema } from "../time.ts";

/** Parts of the rows, more than nothing and less than all. */
const shareSchema = z.number().gt(0).lt(1);
/** Of a cross-validation within the rows that are not the test part. */
const foldsSchema = z.int().min(2).max(20);

/**
 * Which rows a model is judged on. They are looked at once, by the model that is registered: a search and early
 * stopping see only the others.
 *
 * - `time` (the default): the last settled observations. Between all parts lies a gap of the label's horizon.
 * - `group`: entities, each with all of its rows in one part.
 * - `stratified`: rows, with the classes (of a regression: ten ranges of the label) in equal shares in each part.
 *
 * `validation` rows tell a trainer that stops early when to stop. `folds` judges the parameters on the rest by as many
 * fits: of `time` on what is later than each part learnt from, else on each part in turn.
 */
export const splitSchema = z.union([
  z.object({
    by: z.literal("time").default("time"),
    test: durationSchema,
    validation: durationSchema.optional(),
    folds: foldsSchema.optional(),
  }),
  z.object({
    by: z.enum(["group", "stratified"]),
    test: shareSchema,
    validation: shareSchema.optional(),
    folds: foldsSchema.optional(),
  }),
]);
export type Split = z.infer<typeof splitSchema>;

const rangeSchema = z.object({
  min: z.number(),
  max: z.number(),
  /** `log` draws evenly by orders of magnitude, for which `min` must be more than 0. */
  scale: z.enum(["linear", "log"]).default("linear"),
  /** Only whole numbers. */
  integer: z.boolean().default(false),
}).refine(({ min, max }) => min < max, "max must be more than min")
  .refine(({ min, scale }) => scale === "linear" || min > 0, "the min of a log scale must be more than 0");

/** The values that a parameter may take in a search. */
export const parameterRangeSchema = z.union([
  rangeSchema,
  z.object({ values: z.array(z.union([z.number(), z.boolean(), z.string()])).min(1) }),
]);
export type ParameterRange = z.infer<typeof parameterRangeSchema>;

/**
 * A search for parameters, judged by the model's metric on the folds of the split (default: 3), never on the test part.
 *
 * - `random` (Bergstra and Bengio 2012, JMLR 13): as many draws as `trials`.
 * - `halving` (Jamieson and Talwalkar 2016, AISTATS): the draws begin with few rows; the best third goes on with three
 *   times as many, until one has seen them all.
 */
export const searchSchema = z.object({
  method: z.enum(["random", "halving"]).default("random"),
  space: z.record(z.string(), parameterRangeSchema).refine((space) => Object.keys(space).length > 0, {
    message: "must name a parameter",
  }),
  budget: z.object({
    /** Draws; the parameters that the model declares are the first of them. */
    trials: z.int().min(2).max(500),
    /** No further trial begins after this time. Default: all take place. */
    time: durationSchema.optional(),
  }),
});
export type Search = z.infer<typeof searchSchema>;
