/** Replays: stored records published once more, beside the live flow, on `replay.<run>.<source>`. @module */
import { z } from "zod";
import { endpoint } from "./endpoint.ts";
import { nameSchema } from "./names.ts";
import { instantSchema } from "./time.ts";

const service = "data-ingestion";

/**
 * `data-preprocessing`: cleaned by the cleaning in force, counted and quarantined under the run, and not published.
 * `all`: cleaned, and handed on as the live flow is; what a newer cleaning made replaces what an older one did.
 * `consumer`: for a consumer of the stream REPLAY that somebody has made for it.
 */
export const replayTargetSchema = z.enum(["data-preprocessing", "all", "consumer"]);
export type ReplayTarget = z.infer<typeof replayTargetSchema>;

export const replaySchema = z.object({
  run: nameSchema,
  source: nameSchema,
  /** Event times, the second excluded. */
  from: instantSchema.nullable(),
  until: instantSchema.nullable(),
  where: z.string().nullable(),
  to: replayTargetSchema,
  rate: z.number().nullable(),
  pace: z.number().nullable(),
  state: z.enum(["running", "done", "cancelled", "failed"]),
  /** Records looked at, and those of them that were published. */
  read: z.int(),
  published: z.int(),
  /** Of the last record looked at. */
  position: z.object({ time: instantSchema, id: z.string() }).nullable(),
  actor: z.string(),
  startedAt: instantSchema,
  finishedAt: instantSchema.nullable(),
  /** Why it failed. */
  reason: z.string().nullable(),
});
export type Replay = z.infer<typeof replaySchema>;

export const startReplay = endpoint({
  service,
  verb: "start-replay",
  http: { method: "post", path: "/v1/replays", status: 201 },
  summary: "Publish stored records once more, in the order of (event time, id)",
  request: z.object({
    source: nameSchema,
    /** Default: one is made. A consumer of one's own needs to know it before. */
    run: nameSchema.optional(),
    from: instantSchema.optional(),
    until: instantSchema.optional(),
    /** CEL over the record as `e`. */
    where: z.string().min(1).max(2_000).optional(),
    to: replayTargetSchema.default("data-preprocessing"),
    /** Most records a second. */
    rate: z.number().positive().optional(),
    /** So many times as fast as it happened, by event time. Default for both: as fast as it is taken. */
    pace: z.number().positive().optional(),
  }),
  reply: replaySchema,
  mutation: true,
});

export const listReplays = endpoint({
  service,
  verb: "replays",
  http: { method: "get", path: "/v1/replays" },
  summary: "Replays, newest first",
  request: z.object({
    source: nameSchema.optional(),
    limit: z.coerce.number().int().min(1).max(200).default(50),
  }),
  reply: z.object({ replays: z.array(replaySchema) }),
});

export const getReplay = endpoint({
  service,
  verb: "replay",
  http: { method: "get", path: "/v1/replays/{run}" },
  summary: "A replay",
  request: z.object({ run: nameSchema }),
  reply: replaySchema,
});

export const cancelReplay = endpoint({
  service,
  verb: "cancel-replay",
  http: { method: "post", path: "/v1/replays/{run}/cancel" },
  summary: "End a replay where it is",
  request: z.object({ run: nameSchema }),
  reply: replaySchema,
  mutation: true,
});
