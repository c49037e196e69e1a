/** model-monitoring: what it owns, answers and publishes. @module */
import { z } from "zod";
import { listDeadLetters, redriveDeadLetters } from "./dead_letters.ts";
import { listDefinitions, putDefinition, removeDefinition } from "./definition.ts";
import { endpoint } from "./endpoint.ts";
import { nameSchema } from "./names.ts";
import { durationSchema, instantSchema } from "./time.ts";

const service = "model-monitoring";

/** Watches the served features and outputs of a model against its training reference. */
export const monitorBodySchema = z.object({
  kind: z.literal("drift"),
  model: nameSchema,
  /** Population stability index over the reference bins. */
  statistic: z.literal("psi"),
  /** A feature drifts at or above this; 0.25 is the customary mark of a major shift. */
  threshold: z.number().positive().default(0.25),
  /** The monitor is in breach when at least this many features (the output counts as one) drift. */
  minFeatures: z.int().positive().default(1),
  /** Predictions are judged in tumbling windows of this length over their T. */
  window: durationSchema.default("P7D"),
  /** A window with fewer predictions is not judged. */
  minRows: z.int().positive().default(200),
});
export type MonitorBody = z.infer<typeof monitorBodySchema>;

export const putMonitor = putDefinition(service, "monitor", monitorBodySchema);
export const removeMonitor = removeDefinition(service, "monitor");
export const definitions = listDefinitions(service);

export const deadLetters = listDeadLetters(service);
export const redriveDead = redriveDeadLetters(service);

const driftWindowSchema = z.object({
  monitor: nameSchema,
  model: nameSchema,
  version: z.int().positive(),
  from: instantSchema,
  to: instantSchema,
  rows: z.int(),
  status: z.enum(["ok", "breach", "too_few_rows"]),
  features: z.array(z.object({ name: z.string(), psi: z.number(), missingShare: z.number() })),
});

export const drift = endpoint({
  service,
  verb: "drift",
  http: { method: "get", path: "/v1/drift" },
  summary: "Drift windows, newest first",
  request: z.object({
    model: nameSchema.optional(),
    limit: z.coerce.number().int().min(1).max(500).default(50),
  }),
  reply: z.object({ windows: z.array(driftWindowSchema) }),
});

export const predictionCounts = endpoint({
  service,
  verb: "counts",
  http: { method: "get", path: "/v1/counts" },
  summary: "Predictions logged, by model",
  request: z.object({}),
  reply: z.object({
    models: z.array(z.object({
      model: nameSchema,
      predictions: z.int(),
      errors: z.int(),
      /** Records that were sent (their sequence says so) and never came. */
      missing: z.int(),
    })),
  }),
});

/** What came of the prediction log of one boot of one copy of model-serving, for one model. */
const logGapSchema = z.object({
  model: nameSchema,
  instance: z.string(),
  boot: z.string(),
  received: z.int(),
  /** Records before the last one that came, which never came themselves: lost. */
  missing: z.int(),
  /** Records that the process told of and that are not here: on their way, or, once it is gone, lost. */
  outstanding: z.int(),
  /**
   * `closed`: it stopped in order, and said so; what is outstanding then is on its way. `ended_without_closing`: another
   * boot of the same copy has begun, or nothing was heard of it for 90 s, which a process that reaches NATS never lets
   * pass: it was killed, or is cut off. What is outstanding is lost if it was killed; what it made since its last message
   * nobody can count.
   */
  state: z.enum(["open", "closed", "ended_without_closing"]),
  firstSeenAt: instantSchema,
  lastSeenAt: instantSchema,
});

export const logGaps = endpoint({
  service,
  verb: "log-gaps",
  http: { method: "get", path: "/v1/log-gaps" },
  summary: "Gaps in the prediction log, by copy and boot of model-serving, last seen first",
  request: z.object({
    model: nameSchema.optional(),
    limit: z.coerce.number().int().min(1).max(500).default(50),
  }),
  reply: z.object({ boots: z.array(logGapSchema) }),
});

export const shadowDifferences = endpoint({
  service,
  verb: "shadow-differences",
  http: { method: "get", path: "/v1/models/{model}/shadow-differences" },
  summary: "How the answers of a model's shadows differ from those that callers got",
  request: z.object({
    model: nameSchema,
    /** Of calls since then; default: the last day. */
    since: instantSchema.optional(),
    /** Outputs that differ by more than this count as different. */
    tolerance: z.coerce.number().min(0).default(1e-6),
  }),
  reply: z.object({
    since: instantSchema,
    differences: z.array(z.object({
      model: nameSchema,
      shadow: nameSchema,
      shadowVersion: z.int().nullable(),
      /** Who answered the callers. */
      arm: nameSchema.nullable(),
      version: z.int().nullable(),
      /** Rows that both answered. */
      compared: z.int(),
      shadowErrors: z.int(),
      different: z.int(),
      /**
       * Of the shadow's output less the caller's, in the output's unit; of several classes, of the probability that
       * differs most.
       */
      meanDifference: z.number().nullable(),
      meanAbsolute: z.number().nullable(),
      /** Of the absolute difference. */
      median: z.number().nullable(),
      p95: z.number().nullable(),
      max: z.number().nullable(),
      shadowLatencyMs: z.number().nullable(),
      latencyMs: z.number().nullable(),
    })),
  }),
});
