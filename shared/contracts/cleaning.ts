/** How the records of a source are cleaned: its steps, what must hold for a clean record, and its profile. @module */
import { z } from "zod";
import { recordSchema } from "./envelope.ts";
import { nameSchema } from "./names.ts";
import { durationSchema } from "./time.ts";

const field = z.string().min(1);
const fields = z.array(field).min(1);
const scalar = z.union([z.string(), z.number(), z.boolean()]);
/** A CEL expression over the record: `e.quantity * e.unit_price`. */
const expression = z.string().min(1).max(2_000);
/** RE2 syntax; runs on a linear-time engine. */
const pattern = z.string().min(1).max(1_000);
/** Why a record is filtered or quarantined, in words. */
const reason = z.string().min(1).max(500);
/** BCP 47, such as `de-DE`. */
const locale = z.string().min(2).max(35);

/** What a cleaning does to each record, in order. */
export const stepSchema = z.discriminatedUnion("step", [
  z.object({ step: z.literal("select"), fields }),
  z.object({ step: z.literal("rename"), fields: z.record(field, field) }),
  z.object({ step: z.literal("trim"), fields }),
  /** Changes the case of text. */
  z.object({ step: z.literal("case"), fields, to: z.enum(["lower", "upper"]) }),
  /**
   * Empty text becomes null before the cast; what cannot be cast quarantines the record. `17850.0` is an integer,
   * `true`, `yes` and `1` are booleans, an instant is a time in ISO 8601 or one as people write it.
   */
  z.object({
    step: z.literal("cast"),
    fields,
    to: z.enum(["string", "integer", "number", "boolean", "instant"]),
  }),
  /**
   * Text to an instant by a format in the tokens of Luxon, the year among them and no macros: `dd/MM/yyyy HH:mm:ss`,
   * `d LLL yyyy`. `zone` (an IANA name or `UTC+2`) holds where the format has no offset. What does not parse
   * quarantines the record.
   */
  z.object({
    step: z.literal("parse_time"),
    fields,
    format: z.string().min(1).max(100),
    zone: z.string().min(1).default("UTC"),
    locale: locale.default("en"),
  }),
  /** Text to a number as a locale writes it: `1.234,56` in `de`. What does not parse quarantines the record. */
  z.object({ step: z.literal("parse_number"), fields, locale: locale.default("en") }),
  /** Where the field is missing or null. */
  z.object({ step: z.literal("fill"), fields: z.record(field, scalar) }),
  /** Numbers below `min` become `min`, above `max` `max`. */
  z.object({ step: z.literal("clip"), fields, min: z.number().optional(), max: z.number().optional() }),
  /** Replaces a field's value by a table; keys are the values as text. `otherwise`: what happens to other values. */
  z.object({
    step: z.literal("map"),
    field,
    values: z.record(z.string(), scalar.nullable()),
    otherwise: z.enum(["keep", "null", "quarantine"]).default("keep"),
  }),
  /** Sets a field to the value of an expression. */
  z.object({ step: z.literal("derive"), field, expression }),
  /**
   * Keeps the records for which the expression is true; the others, null included, are counted as filtered, with
   * the reason. A record that has failed already is not filtered.
   */
  z.object({ step: z.literal("filter"), expression, reason }),
  /** Sets a field to each named group of a pattern, `(?P<major>[0-9]+)[.](?P<minor>[0-9]+)`. */
  z.object({
    step: z.literal("extract"),
    field,
    pattern,
    missing: z.enum(["null", "quarantine"]).default("null"),
  }),
  /**
   * One record for each item of an array; the item replaces the array in the field `into` (default: the same field).
   * The records are named `<id>#0`, `<id>#1`, ... An array that is empty or null filters the record.
   */
  z.object({ step: z.literal("explode"), field, into: field.optional() }),
  /** Replaces text, numbers and booleans by their keyed hash. Needs the setting SECRETS_KEY. */
  z.object({ step: z.literal("hash"), fields }),
  /** Replaces all but the last `keep` characters of text by `*`. */
  z.object({ step: z.literal("mask"), fields, keep: z.int().min(0).default(0) }),
  /**
   * Takes fields from the state of an entity as it was, and was known, at the event's time. The entity is named by
   * the fields `by`, in the order of the entity source's own id fields. `take`: from the state's (clean) field to the
   * record's.
   */
  z.object({
    step: z.literal("enrich"),
    from: nameSchema,
    by: fields,
    take: z.record(field, field),
    missing: z.enum(["null", "quarantine"]).default("null"),
  }),
  /**
   * Of the records with the same values in these fields whose event times lie less than `within` apart, only the first
   * by (event time, id) goes on; the others are filtered as `duplicate`.
   */
  z.object({ step: z.literal("deduplicate"), by: fields, within: durationSchema }),
]);
export type Step = z.infer<typeof stepSchema>;

/**
 * `warn` counts; `quarantine` sets the record aside; `block` sets it aside and holds everything of the source after it,
 * until someone releases the source.
 */
const rowAction = z.enum(["warn", "quarantine", "block"]);
/** What holds for many records, or for none that came, can't set a record aside. */
const windowAction = z.enum(["warn", "block"]);

/**
 * What must hold for clean records. All failures of a record are found, not only the first. About a null, or an
 * expression that gives null, only `not_null` and `schema` complain: the others hold.
 */
export const expectationSchema = z.discriminatedUnion("expect", [
  z.object({ expect: z.literal("not_null"), fields, action: rowAction }),
  z.object({
    expect: z.literal("range"),
    field,
    min: z.number().optional(),
    max: z.number().optional(),
    action: rowAction,
  }),
  z.object({ expect: z.literal("set"), field, values: z.array(scalar), action: rowAction }),
  /** RE2 syntax, anchored nowhere. */
  z.object({ expect: z.literal("pattern"), field, pattern, action: rowAction }),
  z.object({ expect: z.literal("row"), expression, message: reason, action: rowAction }),
  /** JSON Schema (draft 2020-12) of the clean record. */
  z.object({ expect: z.literal("schema"), schema: recordSchema, action: rowAction }),
  /** No earlier record, by (event time, id), less than `within` before has the same values in these fields. */
  z.object({ expect: z.literal("unique"), fields, within: durationSchema, action: rowAction }),
  /** The newest clean record is at most this much older than the project's clock. */
  z.object({ expect: z.literal("freshness"), max: durationSchema, action: windowAction }),
  /** So many clean records in each tumbling window of event time, empty windows included. */
  z.object({
    expect: z.literal("volume"),
    window: durationSchema,
    min: z.int().min(0).optional(),
    max: z.int().min(0).optional(),
    action: windowAction,
  }),
  /**
   * CEL over the profile of each tumbling window of event time, as `w`: `w.count`, and by field `w.nulls.amount`,
   * `w.distinct.amount`, `w.min.amount`, `w.max.amount`, `w.mean.amount`, `w.deviation.amount`, `w.p50.amount`.
   */
  z.object({
    expect: z.literal("window"),
    window: durationSchema,
    expression,
    message: reason,
    action: windowAction,
  }),
]);
export type Expectation = z.infer<typeof expectationSchema>;

/** How the clean records of a source are profiled, and from when on a change is an anomaly. */
export const profileSettingsSchema = z.object({
  /** Tumbling windows of event time. */
  window: durationSchema.default("P1D"),
  /** A window is compared with the one before when both hold at least so many records. */
  minRows: z.int().positive().default(100),
  /** Change of the share of nulls, absolute. */
  nullShare: z.number().positive().default(0.1),
  /** Change of the mean, in deviations of the window before. */
  shift: z.number().positive().default(1),
  /** Records in the window against the one before, either way. */
  volume: z.number().gt(1).default(5),
});
export type ProfileSettings = z.infer<typeof profileSettingsSchema>;

/** How the records of the source of the same name are cleaned. */
export const cleaningBodySchema = z.object({
  steps: z.array(stepSchema).default([]),
  expectations: z.array(expectationSchema).default([]),
  profile: profileSettingsSchema.prefault({}),
});
export type CleaningBody = z.infer<typeof cleaningBodySchema>;
