/** data-ingestion: what it owns, answers and publishes. @module */
import { z } from "zod";
import { listDefinitions, putDefinition, removeDefinition } from "./definition.ts";
import { endpoint } from "./endpoint.ts";
import { recordSchema } from "./envelope.ts";
import { nameSchema } from "./names.ts";
import { durationSchema, instantSchema } from "./time.ts";

const service = "data-ingestion";

/** Where the known-at time of a record comes from. A bulk load of history must not say `arrival`. */
export const knownAtSchema = z.union([
  z.literal("arrival"),
  z.literal("event_time"),
  z.object({ delay: durationSchema }),
  z.object({ field: z.string().min(1) }),
]);

/** A source of records: what a valid one looks like, and where its id and its times stand. */
export const sourceBodySchema = z.object({
  /**
   * `events` are appended; `entities` are upserts whose history is kept, so each state is a record of its own,
   * named by the entity's id and the event time; `logs` are lines.
   */
  kind: z.enum(["events", "entities", "logs"]),
  description: z.string().default(""),
  /** JSON Schema (draft 2020-12) of one record. Patterns run on a linear-time engine. */
  schema: recordSchema,
  /** Fields that together name a record; empty: the id of the envelope, or where the record came from. */
  id: z.array(z.string().min(1)).default([]),
  /** The field with the event time; `null`: the envelope's time, or the arrival. */
  time: z.string().min(1).nullable().default(null),
  knownAt: knownAtSchema.default("arrival"),
  /**
   * How far ahead an event may lie. On a wall clock: of the wall, by default five minutes. On an event clock: of
   * the newest event seen, by default any distance, for history has long gaps; and never more than five minutes
   * ahead of the wall.
   */
  futureBound: durationSchema.optional(),
});
export type SourceBody = z.infer<typeof sourceBodySchema>;

/** The clock that a project lives by: the wall's, or the newest event time seen. */
export const clockKindSchema = z.enum(["wall", "event"]);
export type ClockKind = z.infer<typeof clockKindSchema>;
export const projectBodySchema = z.object({ clock: clockKindSchema.default("wall") });
export type ProjectBody = z.infer<typeof projectBodySchema>;

export const putProject = putDefinition(service, "project", projectBodySchema);
export const removeProject = removeDefinition(service, "project");
export const putSource = putDefinition(service, "source", sourceBodySchema);
export const removeSource = removeDefinition(service, "source");
export const definitions = listDefinitions(service);

/** The clock of a project, as it stands in the `clocks` bucket. */
export const projectClockSchema = z.object({
  project: nameSchema,
  kind: clockKindSchema,
  now: instantSchema,
});
export type ProjectClock = z.infer<typeof projectClockSchema>;

const rejectionSchema = z.object({ path: z.string(), message: z.string() });

/**
 * Publishes one event and answers when it is stored (synced by PostgreSQL), or with every reason why not.
 * Over HTTP this is `POST /v1/events/{source}` with `Prefer: wait`; without it the answer is 202, accepted.
 */
export const storeEvent = endpoint({
  service,
  verb: "store",
  summary: "Store one event and answer once it is durable",
  request: z.object({ source: nameSchema, event: recordSchema }),
  reply: z.object({ id: z.string(), status: z.enum(["stored", "duplicate"]) }),
});

/** The answer of `POST /v1/events/{source}` without `Prefer: wait`: JetStream has all of it. */
export const acceptedEventsSchema = z.object({
  /** Records, those among them that will be rejected included. */
  accepted: z.int().positive(),
  /**
   * The idempotency key of the request, or one made for it. A record without an id of its own gets
   * `<source>:<receipt>:<message>`, with `/<position>` behind it where its message holds several.
   */
  receipt: z.string(),
});

/**
 * accepted = pending + stored + rejected + duplicates + deadLettered. Counts of records; but a message that waits
 * in EVENTS, or was dead-lettered whole, counts as one, for nobody has read it.
 */
export const ledgerRowSchema = z.object({
  source: z.string(),
  accepted: z.int(),
  pending: z.int(),
  stored: z.int(),
  rejected: z.int(),
  duplicates: z.int(),
  deadLettered: z.int(),
});
export type LedgerRow = z.infer<typeof ledgerRowSchema>;

export const ledger = endpoint({
  service,
  verb: "ledger",
  http: { method: "get", path: "/v1/ledger" },
  summary: "What came of every record received, by source",
  request: z.object({ source: nameSchema.optional() }),
  reply: z.object({ sources: z.array(ledgerRowSchema) }),
});

export const rejectedRecordSchema = z.object({
  source: z.string(),
  /** Where it came from: `EVENTS/<sequence>/<position>`, or `STORE/<request>/0` for a request to store it. */
  origin: z.string(),
  receivedAt: instantSchema,
  /** The record as it came: JSON where it could be read, else text. */
  payload: z.unknown(),
  reasons: z.array(rejectionSchema).min(1),
});

export const rejected = endpoint({
  service,
  verb: "rejected",
  http: { method: "get", path: "/v1/rejected" },
  summary: "Rejected records with all their reasons, newest first",
  request: z.object({
    source: z.string().optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    /** Continue after the `next` of the page before. */
    after: z.string().regex(/^[1-9]\d{0,15}$/, 'must be the "next" of a page').optional(),
  }),
  reply: z.object({ rejected: z.array(rejectedRecordSchema), next: z.string().nullable() }),
});
