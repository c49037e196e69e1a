/**
 * What services publish to each other: CloudEvents 1.0 JSON batches, one source or model a message
 * (docs/adr/0001-envelope-ids-names-delivery-time.md).
 *
 * @module
 */
import { z } from "zod";
import { nameSchema } from "./names.ts";
import { instantSchema } from "./time.ts";

/** A batch of at most this many events travels in one message ... */
export const MAX_BATCH_EVENTS = 1_000;
/** ... of at most this many bytes, unless a single event is larger. */
export const MAX_BATCH_BYTES = 512 * 1024;

export const CLOUDEVENT_TYPE = "application/cloudevents+json";
export const CLOUDEVENTS_BATCH_TYPE = "application/cloudevents-batch+json";

/** Headers of messages and requests. HTTP uses the same names. */
export const HEADER = {
  contentType: "Content-Type",
  messageId: "Nats-Msg-Id",
  /**
   * What named a redriven message at first: its message id, else `<stream>/<sequence>`. Its own is another one, but
   * ids made of it stay the same.
   */
  firstMessageId: "Microml-Message-Id",
  idempotencyKey: "Idempotency-Key",
  actor: "Microml-Actor",
  traceparent: "traceparent",
  /** The project clock after the batch, stamped by data-ingestion and carried on by every stage. */
  clock: "Microml-Clock",
  project: "Microml-Project",
  /** The replay that a batch belongs to; absent in the live flow. */
  run: "Microml-Run",
  /** Whom a replay is for (shared/contracts/replay.ts). */
  replayTo: "Microml-Replay-To",
} as const;

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** A W3C trace context as a caller sends it; as its standard says, one that can't be read is as good as none. */
export const traceparentOf = (header: string | null | undefined): string | undefined =>
  typeof header === "string" && TRACEPARENT.test(header) ? header : undefined;

/** The event types that services publish, each with its major version. */
export const EVENT_TYPE = {
  ingested: "microml.ingested.v1",
  clean: "microml.clean.v1",
  prediction: "microml.prediction.v2",
  label: "microml.label.v1",
  model: "microml.model.v1",
  signal: "microml.signal.v1",
  alert: "microml.alert.v1",
} as const;

export const eventIdSchema = z.string().min(1).max(256);

/** A record of user data: one JSON object. */
export const recordSchema = z.record(z.string(), z.unknown());
export type DataRecord = z.infer<typeof recordSchema>;

/**
 * The envelope of an event inside the platform. A clean event that is `retracted` holds no data: it says that the
 * cleaning of its version makes nothing of the event of this id, so that what this version or an older one made of it
 * before counts no more. `time` is the event time, `knownat` when the world could
 * know it, `definition` the version of the definition (source, cleaning, model ...) that made this data;
 * 0 in a clean event: no cleaning did. `subject` is the entity whose state the record of an entity source is.
 *
 * The unique key at every stage is (source, id, definition[, run]). The run of a replay stands in the message's
 * headers and not here: what is replayed has the bytes of what was live.
 */
export function eventSchema<Data extends z.ZodType>(data: Data) {
  return z.object({
    specversion: z.literal("1.0"),
    id: eventIdSchema,
    source: nameSchema,
    type: z.string().min(1),
    time: instantSchema,
    knownat: instantSchema,
    definition: z.int().nonnegative(),
    subject: z.string().optional(),
    actor: z.string().optional(),
    traceparent: z.string().optional(),
    retracted: z.literal(true).optional(),
    data,
  });
}

export const dataEventSchema = eventSchema(recordSchema);

/** An event inside the platform, with data of the given type. */
export type PlatformEvent<Data = DataRecord> = Omit<z.infer<typeof dataEventSchema>, "data"> & { data: Data };

/** What names an event at every stage. */
export type EventKey = Pick<PlatformEvent, "source" | "id" | "definition">;
