/** console: what it answers. @module */
import { z } from "zod";
import { endpoint } from "./endpoint.ts";
import { instantSchema } from "./time.ts";

const service = "console";

/** What a copy of a service says of itself in the `data` of its NATS micro stats; a service may add more. */
export const stageStatsSchema = z.looseObject({
  /** Messages that wait for it. */
  lag: z.number().nonnegative().optional(),
  /** Messages and events it moved to DEADLETTER since its start. */
  deadLetters: z.number().nonnegative().optional(),
  /** Events (or calls, where the service takes no stream) handled since its start. */
  handled: z.number().nonnegative().optional(),
});
export type StageStats = z.infer<typeof stageStatsSchema>;

export const stageSchema = z.object({
  service: z.string(),
  summary: z.string(),
  reads: z.array(z.string()),
  writes: z.array(z.string()),
  /** `ready`: it can do its work. `waiting`: alive, but a neighbour is away. `down`: it does not answer. */
  health: z.enum(["ready", "waiting", "down"]),
  /** Why it is not ready. */
  reason: z.string().nullable(),
  /** Copies that answer on the bus. */
  copies: z.int(),
  lag: z.number().nullable(),
  deadLetters: z.number().nullable(),
  /** Handled by all copies since their start, and a second over the last seconds; null until it is known. */
  handled: z.number().nullable(),
  rate: z.number().nullable(),
});
export type Stage = z.infer<typeof stageSchema>;

export const overview = endpoint({
  service,
  verb: "overview",
  http: { method: "get", path: "/v1/overview" },
  summary: "Every stage with its rate, lag, dead letters and health",
  request: z.object({}),
  reply: z.object({
    at: instantSchema,
    stages: z.array(stageSchema),
    streams: z.array(z.object({ name: z.string(), messages: z.int(), bytes: z.int() })),
  }),
});
export type Overview = z.infer<typeof overview.spec.reply>;
