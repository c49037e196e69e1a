/** data-ingestion: what it owns, answers and publishes. @module */
import { z } from "zod";
import { listDefinitions, putDefinition, removeDefinition } from "./definition.ts";
import { endpoint } from "./endpoint.ts";
import { recordSchema } from "./envelope.ts";
import { nameSchema } from "./names.ts";
import { listDeadLetters, redriveDeadLetters } from "./dead_letters.ts";
import { sourceBodySchema } from "./source.ts";
import { instantSchema } from "./time.ts";

const service = "data-ingestion";

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
 * accepted = pending + stored + rejected + duplicates + deadLettered, always. `accepted` is counted by receipts when
 * messages are read, the others when their records are dealt with: `balanced` compares the two. Counts of records; but
 * a message that waits in EVENTS, or was dead-lettered whole, counts as one, for nobody has read it.
 */
export const ledgerRowSchema = z.object({
  source: z.string(),
  /** Of arrival, UTC; absent in sums over all days. */
  day: z.iso.date().optional(),
  accepted: z.int(),
  pending: z.int(),
  stored: z.int(),
  rejected: z.int(),
  duplicates: z.int(),
  deadLettered: z.int(),
  balanced: z.boolean(),
});
export type LedgerRow = z.infer<typeof ledgerRowSchema>;

export const ledger = endpoint({
  service,
  verb: "ledger",
  http: { method: "get", path: "/v1/ledger" },
  summary: "What came of every record received, by source, or by source and day",
  request: z.object({
    source: nameSchema.optional(),
    by: z.enum(["source", "day"]).default("source"),
    /** Days of arrival, both included. With them, only what arrived then is counted. */
    from: z.iso.date().optional(),
    to: z.iso.date().optional(),
    limit: z.coerce.number().int().min(1).max(2_000).default(1_000),
    /** Continue after the `next` of the page before. */
    after: z.string().max(128).optional(),
  }),
  reply: z.object({ sources: z.array(ledgerRowSchema), next: z.string().nullable() }),
});

const pageMark = z.string().regex(/^[1-9]\d{0,15}$/, 'must be the "next" of a page');

export const rejectedRecordSchema = z.object({
  /** What names it, to redrive it. */
  number: z.int().positive(),
  source: z.string(),
  /** Where it came from: `EVENTS/<sequence>/<position>`, or `STORE/<request>/0` for a request to store it. */
  origin: z.string(),
  /** Of a record that came in a file: the file's SHA-256 or its upload, and the line (in Parquet, the row), from 1. */
  file: z.object({ name: z.string(), line: z.int().positive() }).nullable(),
  receivedAt: instantSchema,
  /**
   * The record as it came, secrets hashed or dropped: JSON where it could be read, else text; null where sealed. The
   * line of a log is text in any case. Where it is cut, its first 16,384 characters as text.
   */
  payload: z.unknown(),
  /** Encrypted, because it could not be read and its source has secrets. A redrive opens it. */
  sealed: z.boolean(),
  /** The payload has more than 512 KiB: with it, a page would not fit into one message. A redrive takes all of it. */
  cut: z.boolean(),
  reasons: z.array(rejectionSchema).min(1),
});
export type RejectedRecord = z.infer<typeof rejectedRecordSchema>;

/** Which rejected records are meant: all that hold. */
const rejectedFilter = {
  source: z.string().optional(),
  /** The file they came in: its SHA-256, or the upload. */
  file: z.string().optional(),
  /** One of their reasons is about this place, as a JSON Pointer. */
  path: z.string().optional(),
};

export const rejected = endpoint({
  service,
  verb: "rejected",
  http: { method: "get", path: "/v1/rejected" },
  summary: "Rejected records with all their reasons, newest first",
  request: z.object({
    ...rejectedFilter,
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    /** Continue after the `next` of the page before. */
    after: pageMark.optional(),
  }),
  reply: z.object({ rejected: z.array(rejectedRecordSchema), next: z.string().nullable() }),
});

/**
 * Judges rejected records again, by the source as it is now. Those that still can't come in get their new reasons. What
 * is kept of a record may not be what came (cut, rounded to what JSON readers can hold, not in UTF-8): then it stays
 * rejected, for its reasons of before.
 */
export const redriveRejected = endpoint({
  service,
  verb: "redrive-rejected",
  http: { method: "post", path: "/v1/rejected/redrive" },
  summary: "Take rejected records in again, oldest first",
  request: z.object({
    ...rejectedFilter,
    numbers: z.array(z.int().positive()).min(1).max(1_000).optional(),
    /** Most records of one call, and no more than 16 MiB of them; go on with `after: next` until it is null. */
    limit: z.int().min(1).max(1_000).default(500),
    after: pageMark.optional(),
  }),
  reply: z.object({
    stored: z.int(),
    duplicates: z.int(),
    rejected: z.int(),
    next: z.string().nullable(),
  }),
  mutation: true,
});

export const deadLetters = listDeadLetters(service);
export const redriveDead = redriveDeadLetters(service);

/** A record as it is stored. */
export const storedEventSchema = z.object({
  id: z.string(),
  time: instantSchema,
  knownAt: instantSchema,
  arrivedAt: instantSchema,
  definition: z.int().positive(),
  data: recordSchema,
});

export const storedEvents = endpoint({
  service,
  verb: "events",
  http: { method: "get", path: "/v1/stored-events" },
  summary: "Stored records of a source, the last to arrive first",
  request: z.object({
    source: nameSchema,
    limit: z.coerce.number().int().min(1).max(1000).default(100),
  }),
  reply: z.object({ events: z.array(storedEventSchema) }),
});

/** The state of an entity at a time, as it was known at a time. */
export const entityState = endpoint({
  service,
  verb: "entity",
  http: { method: "get", path: "/v1/entities/{source}/{entity}" },
  summary: "What an entity was at a time, as far as it was known by another",
  request: z.object({
    source: nameSchema,
    /** The id field's value; of several, a JSON array of their texts. */
    entity: z.string().min(1),
    /** Default for both: now. */
    at: instantSchema.optional(),
    knownAt: instantSchema.optional(),
  }),
  reply: z.object({
    /** Null: nothing was known of it. */
    state: z.object({ time: instantSchema, knownAt: instantSchema, data: recordSchema }).nullable(),
  }),
});

export const FILE_FORMATS = ["csv", "ndjson", "parquet", "lines"] as const;
export const fileFormatSchema = z.enum(FILE_FORMATS);
export type FileFormat = z.infer<typeof fileFormatSchema>;

/** How a file is read. */
export const fileOptionsSchema = z.object({
  format: fileFormatSchema,
  /** CSV: between fields. */
  delimiter: z.string().length(1).default(","),
  /** CSV: what an empty field is. `omit`: the record has no such field. */
  empty: z.enum(["omit", "text"]).default("omit"),
});
export type FileOptions = z.infer<typeof fileOptionsSchema>;

/** A file on its way in. What has been taken of it is in EVENTS; the rest can be sent from `offset` on. */
export const uploadSchema = z.object({
  upload: z.uuid(),
  source: nameSchema,
  /** The file's name, for people. */
  name: z.string(),
  options: fileOptionsSchema,
  /** Names the records, with their lines, where they have no id of their own. Null: the upload does. */
  sha256: z.string().nullable(),
  state: z.enum(["open", "complete"]),
  /** Bytes taken; in Parquet, rows. */
  offset: z.int(),
  /** Lines taken, the header included; in Parquet, rows. */
  line: z.int(),
  /** Records taken, those that will be rejected included. */
  records: z.int(),
  actor: z.string(),
  startedAt: instantSchema,
  changedAt: instantSchema,
});
export type Upload = z.infer<typeof uploadSchema>;

/**
 * Begins an upload, or finds the one of the same file and source to go on with. The bytes follow by
 * `PATCH /v1/uploads/{upload}` with the header `Upload-Offset`, the last of them with `Upload-Complete: ?1`.
 */
export const startUpload = endpoint({
  service,
  verb: "start-upload",
  http: { method: "post", path: "/v1/uploads", status: 201 },
  summary: "Begin to upload a file, or go on with it",
  request: z.object({
    source: nameSchema,
    name: z.string().min(1).max(255),
    options: fileOptionsSchema,
    sha256: z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in hexadecimal").optional(),
  }),
  reply: uploadSchema,
  mutation: true,
});

export const getUpload = endpoint({
  service,
  verb: "upload",
  http: { method: "get", path: "/v1/uploads/{upload}" },
  summary: "How far an upload is",
  request: z.object({ upload: z.uuid() }),
  reply: uploadSchema,
});

/** The content type of a message in EVENTS that holds records of a file. */
export const FILE_RECORDS_TYPE = "application/vnd.microml.file-records+json";

/**
 * A record of a file: what it says, or the text that could not be read, sealed where its source has secrets. `whole`:
 * what is sealed is all that stood there, so that a redrive may read it again.
 */
export const fileRecordSchema = z.union([
  z.object({ line: z.int().positive(), data: recordSchema }),
  z.object({ line: z.int().positive(), text: z.string(), reason: z.string().optional() }),
  z.object({
    line: z.int().positive(),
    sealed: z.string(),
    reason: z.string(),
    whole: z.boolean().optional(),
  }),
]);
export type FileRecord = z.infer<typeof fileRecordSchema>;

/** The body of such a message. `text` without a reason is a log line, to be read by the source's format. */
export const fileRecordsSchema = z.object({
  /** The file's SHA-256, else its upload or receipt: with the line it names a record without an id. */
  file: z.string().min(1).max(128),
  records: z.array(fileRecordSchema),
});
export type FileRecords = z.infer<typeof fileRecordsSchema>;
