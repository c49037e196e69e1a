/** The source that is inferred for a file, as TypeScript, with what was seen in comments. @module */
import { logRecordSchema } from "shared/log_formats/log_formats.ts";
import { describeField } from "./describe_field.ts";
import type { InferredField, InferredSource } from "./infer.ts";
import { comment, key, literal } from "./literal.ts";

export function sourceText(source: InferredSource, { description }: { description: string }): string {
  const { kind, format, time } = source;
  return [
    `kind: ${literal(kind)},`,
    `description: ${literal(description)},`,
    ...(format === undefined ? [] : formatLines(source)),
    `schema: {`,
    `type: "object",`,
    `required: ${literal(requiredFields(source))},`,
    `properties: {`,
    ...source.fields.flatMap((field) => [
      comment(describeField(field, source.records)),
      `${key(field.name)}: ${literal(propertySchema(field, source))},`,
    ]),
    `},`,
    `},`,
    ...idLines(source),
    ...secretLines(source),
    ...timeLines(time, source),
  ].join("\n");
}

function formatLines({ format }: InferredSource): string[] {
  const note = typeof format === "string" ? [] : [
    comment("No format that is known by name reads these lines: write their parts as named groups, such as"),
    comment('"(?P<time>[^ ]+) (?P<level>[A-Z]+) (?P<message>.*)".'),
  ];
  return [...note, `format: ${literal(format)},`];
}

function idLines({ kind, id }: InferredSource): string[] {
  if (kind === "logs") return [];
  if (id.length === 0) {
    return [
      comment(
        "No field is unique: a record is named by its file and line, unless `id: [...]` says otherwise.",
      ),
    ];
  }
  const what = kind === "entities"
    ? "Names the thing that a record is a state of."
    : id.length === 1
    ? "Unique in this file."
    : "Unique together in this file.";
  return [comment(what), `id: ${literal(id.map(({ name }) => name))},`];
}

function secretLines({ fields }: InferredSource): string[] {
  const personal = fields.filter(({ personal }) => personal !== undefined);
  if (personal.length === 0) return [];
  const secrets = Object.fromEntries(personal.map(({ name }) => [secretPlace(name), "hash"]));
  return [
    comment("Belongs to persons, as it seems: kept as keyed hashes (needs SECRETS_KEY), or `drop` it."),
    `secrets: ${literal(secrets)},`,
  ];
}

/** A name that begins with a slash would be a JSON Pointer. */
function secretPlace(name: string): string {
  return name.startsWith("/") ? `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}` : name;
}

function timeLines(time: InferredField | undefined, { fields }: InferredSource): string[] {
  if (time !== undefined) {
    return [
      `time: ${literal(time.name)},`,
      ...timeFormatLines(time),
      comment("This file is history: a record was known when it happened, not when it was loaded."),
      `knownAt: "event_time",`,
    ];
  }
  const unused = fields.find(({ type }) => type === "instant");
  const why = unused === undefined ? "No field holds a time" : `${unused.name} ${whyNoEventTime(unused)}`;
  return [comment(`${why}: the event time is the arrival.`)];
}

function timeFormatLines({ fit }: InferredField): string[] {
  const step = fit!.reading.step([]);
  if (step.step !== "parse_time") return [];
  const { format, zone, locale } = step;
  return [`timeFormat: ${literal({ format, zone, locale })},`];
}

/** Why a field with times cannot be the event time. */
function whyNoEventTime({ nulls, isOrderOpen }: InferredField): string {
  if (nulls > 0) return "is not in every record";
  return isOrderOpen ? "leaves open what is the day and what the month" : "lies in the future";
}

/** What the format promises; else what every record of the file has. */
function requiredFields({ format, fields }: InferredSource): string[] {
  const promised = format === undefined ? undefined : logRecordSchema(format)["required"];
  if (Array.isArray(promised)) return promised;
  return fields.filter(({ isAlwaysThere }) => isAlwaysThere).map(({ name }) => name);
}

function propertySchema(field: InferredField, { isText, format }: InferredSource): unknown {
  if (isText) return { type: "string", pattern: textPattern(field) };
  const promised = format === undefined ? undefined : logRecordSchema(format)["properties"];
  const declared = (promised as Record<string, unknown> | undefined)?.[field.name];
  if (declared !== undefined) return declared;
  return field.type === "empty" ? {} : { type: jsonTypes(field) };
}

const INTEGER = "[+-]?[0-9]+([.]0+)?";
const NUMBER = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?";

/** What the text of a number looks like, as loosely as the cast reads it. */
function textPattern({ fit, facts }: InferredField): string | undefined {
  if (fit === undefined || fit.reading.step([]).step !== "cast") return undefined;
  const core = fit.reading.kind === "integer" ? INTEGER : fit.reading.kind === "number" ? NUMBER : undefined;
  if (core === undefined) return undefined;
  const words = [...facts.nullWords.keys()].map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  const forms = [core, ...words].join("|");
  const inner = words.length > 0 ? `(${forms})` : forms;
  if (facts.blanks > 0) return `^\\s*(${forms})?\\s*$`;
  return facts.padded > 0 ? `^\\s*${inner}\\s*$` : `^${inner}$`;
}

function jsonTypes({ type, summary, facts, nulls }: InferredField): string | string[] {
  const seen = Object.keys(summary.types);
  const types = seen.length === 1 && seen[0] === "number" && type === "integer" ? ["integer"] : seen;
  const all = facts.nulls > 0 || nulls > 0 ? [...types, "null"] : types;
  return all.length === 1 ? all[0]! : all;
}
