/** How a model is served: who answers, from which features, and what is logged. @module */
import { z } from "zod";
import { listDefinitions, putDefinition, removeDefinition } from "../definition.ts";
import { featureReferenceSchema, nameSchema } from "../names.ts";
import { durationSchema, durationWithin } from "../time.ts";

const service = "model-serving";

/** Shares of the traffic are counted in buckets of this many: a weight is a multiple of 1 / 10,000. */
export const WEIGHT_BUCKETS = 10_000;

const weightSchema = z.number().min(0).max(1).refine(
  (weight) => Math.abs(weight * WEIGHT_BUCKETS - Math.round(weight * WEIGHT_BUCKETS)) < 1e-6,
  `must be a multiple of ${1 / WEIGHT_BUCKETS}`,
);

/** What an arm takes at most; each copy of the service counts for itself. */
export const limitsSchema = z.object({
  /** Calls that are being answered. */
  concurrency: z.int().positive().optional(),
  /** Rows, over any second, with bursts of as many. */
  rowsPerSecond: z.int().positive().optional(),
  /** Beyond it: the champion answers, or the call is refused (503). The champion's own limits always refuse. */
  beyond: z.enum(["champion", "refuse"]).default("champion"),
});
export type Limits = z.infer<typeof limitsSchema>;

/**
 * Takes an arm that fails, or is slow, out of the traffic: the champion answers in its place. After the pause a few
 * calls try it; when all of them do well it is back, and else there is another pause.
 */
export const breakerSchema = z.object({
  /** The calls of this long are judged ... */
  window: durationWithin("PT0.1S", "P1D").default("PT30S"),
  /** ... once there are this many. */
  minCalls: z.int().positive().default(20),
  /** It opens at this share of failed calls (mistakes of the caller are none) ... */
  errorRate: z.number().positive().max(1).default(0.5),
  /** ... or of calls slower than this; default: slow calls do not count. */
  slowerThan: durationSchema.optional(),
  slowRate: z.number().positive().max(1).default(0.5),
  pause: durationSchema.default("PT10S"),
  /** Calls that try the arm after the pause. */
  probes: z.int().positive().default(5),
});
export type BreakerRules = z.infer<typeof breakerSchema>;

const DEFAULT_BREAKER = JSON.stringify(breakerSchema.parse({}));

export const armSchema = z.object({
  /** The alias whose version answers. */
  alias: nameSchema,
  /** The share of calls (sticky: of keys) that it answers. */
  weight: weightSchema,
  limits: limitsSchema.optional(),
  /** Not for the champion: there is nobody to fall back to. */
  breaker: breakerSchema.prefault({}),
});

/** Answers beside the arms, off the caller's path; what it says is compared with what the caller was told. */
export const shadowSchema = z.object({
  alias: nameSchema,
  /** The share of calls that it sees. */
  share: z.number().positive().max(1).default(1),
  /** Outputs that differ by more than this count as different. */
  tolerance: z.number().nonnegative().default(1e-6),
});

const stickySchema = z.object({
  /** `entity`: its key; calls with rows carry `key` instead. `key`: what every call carries in `key`. */
  by: z.enum(["entity", "key"]),
  /** Of an entity with several key parts, those that count, such as the customer of (customer, product). Default: all. */
  parts: z.array(nameSchema).min(1).optional(),
  /** Deployments with the same salt assign a key alike; default: the name of the model. */
  salt: z.string().min(1).max(100).optional(),
});

const featuresSchema = z.object({
  /** How long to wait for the feature store. */
  deadline: durationWithin("PT0.001S", "PT1H").default("PT1S"),
  /** When it is late or away: refuse the call, go on with the defaults, or with what was last read of the entity. */
  fallback: z.enum(["refuse", "defaults", "last_known"]).default("refuse"),
  /**
   * What stands for a feature that did not come. Without one it is missing, which its signature must allow. For
   * `last_known`: used for entities that nothing is known of, if any is declared; else the call is refused.
   */
  defaults: z.record(featureReferenceSchema, z.union([z.number(), z.boolean(), z.string()])).default({}),
  /** What each copy remembers of its reads, where `last_known` is declared. */
  lastKnown: z.object({
    entities: z.int().positive().max(1_000_000).default(10_000),
    /** A row read longer ago is not used. */
    maxAge: durationSchema.default("PT1H"),
  }).prefault({}),
  /** Features that the caller gives for an entity: they go before what was looked up, fill what is missing there, or are refused. */
  given: z.enum(["override", "complete", "refuse"]).default("override"),
});
export type FeaturesPolicy = z.infer<typeof featuresSchema>;

/**
 * What becomes of values that are not as the model takes them. Missing values and unseen categories are the model's own
 * to say, in its signature; text with U+0000 is always refused.
 */
export const inputPolicySchema = z.object({
  /** Infinity, or a number beyond float32: the call is refused, or the value counts as missing and is marked. */
  notFinite: z.enum(["refuse", "missing"]).default("refuse"),
  /** Fields that the model does not know: the call is refused, or they are passed over. */
  unknown: z.enum(["refuse", "ignore"]).default("refuse"),
});

const logSchema = z.object({
  /** The share of successful answers that is logged; errors always are. A record says which share it stands for. */
  sample: z.number().min(0).max(1).default(1),
  /** Records that wait in memory while NATS is away ... */
  buffer: z.int().positive().max(1_000_000).default(50_000),
  /** ... and what happens beyond: the oldest or the newest are dropped, or calls are refused (503). */
  whenFull: z.enum(["drop_oldest", "drop_newest", "refuse"]).default("drop_oldest"),
});
export type LogPolicy = z.infer<typeof logSchema>;

/** How the model of the same name is served. */
export const deploymentBodySchema = z.object({
  /** The champion: the alias whose version answers, and that other arms fall back to. */
  alias: nameSchema.default("champion"),
  /** Who answers which share; one of them has the alias of the champion. Default: the champion answers all. */
  arms: z.record(nameSchema, armSchema).optional(),
  /** The same key, the same arm. Default: each call is assigned at random. */
  sticky: stickySchema.optional(),
  shadows: z.record(nameSchema, shadowSchema).default({}),
  features: featuresSchema.prefault({}),
  input: inputPolicySchema.prefault({}),
  log: logSchema.prefault({}),
}).superRefine(({ alias, arms, sticky, shadows }, context) => {
  const mistake = (path: string[], message: string) =>
    context.addIssue({ code: "custom", path, message, input: undefined });
  if (arms !== undefined) {
    const buckets = Object.values(arms).map(({ weight }) => Math.round(weight * WEIGHT_BUCKETS));
    const sum = buckets.reduce((total, count) => total + count, 0) / WEIGHT_BUCKETS;
    if (sum !== 1) mistake(["arms"], `have weights that sum to ${sum}, and must sum to 1`);
    const aliases = Object.values(arms).map((arm) => arm.alias);
    if (!aliases.includes(alias)) {
      mistake(["arms"], `must hold one with the champion's alias "${alias}", which the others fall back to`);
    }
    if (new Set(aliases).size < aliases.length) mistake(["arms"], "must each have an alias of its own");
  }
  for (const [name, arm] of Object.entries(arms ?? {})) {
    if (arm.alias !== alias || JSON.stringify(arm.breaker) === DEFAULT_BREAKER) continue;
    mistake(["arms", name, "breaker"], "is not for the champion: nobody stands in for it");
  }
  for (const name of Object.keys(shadows)) {
    if (arms === undefined ? name === alias : Object.hasOwn(arms, name)) {
      mistake(["shadows", name], "is the name of an arm already");
    }
  }
  if (sticky?.by === "key" && sticky.parts !== undefined) {
    mistake(["sticky", "parts"], 'are of an entity: only for by "entity"');
  }
});
export type DeploymentBody = z.infer<typeof deploymentBodySchema>;

export const putDeployment = putDefinition(service, "deployment", deploymentBodySchema);
export const removeDeployment = removeDefinition(service, "deployment");
export const definitions = listDefinitions(service);
