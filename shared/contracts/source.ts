/** A source of records, as a project defines it. @module */
import { z } from "zod";
import { recordSchema } from "./envelope.ts";
import { durationSchema } from "./time.ts";

/** Where the known-at time of a record comes from. A bulk load of history must not say `arrival`. */
export const knownAtSchema = z.union([
  z.literal("arrival"),
  z.literal("event_time"),
  z.object({ delay: durationSchema }),
  z.object({ field: z.string().min(1) }),
]);

/** The formats of log lines that are known by name (shared/log_formats/). */
export const LOG_FORMATS = ["json", "combined", "common", "rfc3164", "rfc5424", "logfmt"] as const;

/** How the lines of a `logs` source are read. */
export const logFormatSchema = z.union([
  z.enum(LOG_FORMATS),
  /** RE2 syntax with named groups, `(?P<level>[A-Z]+) (?P<text>.*)`: each group is a field; it must match the whole line. */
  z.object({ pattern: z.string().min(1).max(2_000) }),
]);
export type LogFormat = z.infer<typeof logFormatSchema>;

/**
 * What is kept of a secret field: its keyed hash (equal values stay equal, so that it can still be an id or a key),
 * or nothing.
 */
export const secretPolicySchema = z.enum(["hash", "drop"]);
export type SecretPolicy = z.infer<typeof secretPolicySchema>;

/** A format in Luxon's tokens, `dd/MM/yyyy HH:mm`, as of the step `parse_time`. */
export const timeFormatSchema = z.object({
  format: z.string().min(1).max(100),
  /** An IANA name or `UTC+2`: where the format has no offset. */
  zone: z.string().min(1).default("UTC"),
  /** BCP 47: the language of months and weekdays. */
  locale: z.string().min(1).max(35).default("en"),
});

/** What a valid record looks like, where its id and its times stand, what of it is kept, and for how long. */
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
  /** How the text in that field is read. Default: as ISO 8601, or near it, or as milliseconds since 1970. */
  timeFormat: timeFormatSchema.optional(),
  knownAt: knownAtSchema.default("arrival"),
  /**
   * How far ahead an event may lie. On a wall clock: of the wall, by default five minutes. On an event clock: of
   * the newest event seen, by default any distance, for history has long gaps; and never more than five minutes
   * ahead of the wall.
   */
  futureBound: durationSchema.optional(),
  /**
   * How far back an event may lie: of its arrival on a wall clock, of the newest event seen on an event clock. What
   * is later is rejected. By default any distance.
   */
  lateBound: durationSchema.optional(),
  /** Only of `logs`: how a line is read. Default there: `json`. */
  format: logFormatSchema.optional(),
  /**
   * Fields that are stored nowhere as they came, by name, or by JSON Pointer where the name begins with a slash: in it,
   * `*` stands for every item of an array.
   * Needs the setting SECRETS_KEY.
   */
  secrets: z.record(z.string().min(1), secretPolicySchema).default({}),
  /**
   * How long records are kept after their arrival; they are removed within a day after. Default, and at most, the
   * setting KEEP_DAYS. Rejects and duplicates stay for seven days at least, as their messages do in EVENTS. Of an entity
   * the newest state is kept, whatever its age.
   */
  retention: durationSchema.optional(),
  /**
   * For how long after the arrival of an event another one with its id is known as a duplicate. Default: as long as
   * the event is kept.
   */
  duplicateHorizon: durationSchema.optional(),
  /**
   * `backward`: a change that would refuse stored records, or give an id, a time or a field another meaning, is
   * refused. `none`: it makes a new version all the same; stored records keep theirs.
   */
  compatibility: z.enum(["backward", "none"]).default("backward"),
});
export type SourceBody = z.infer<typeof sourceBodySchema>;
