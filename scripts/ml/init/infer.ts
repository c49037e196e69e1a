/** From what a file is like to how its records come in and are cleaned. @module */
import type { FileOptions } from "shared/contracts/data_ingestion.ts";
import type { FieldProfile } from "shared/contracts/data_preprocessing.ts";
import type { LogFormat } from "shared/contracts/source.ts";
import type { FieldFacts, Fit } from "./field_facts.ts";
import type { FileFacts } from "./file_facts.ts";
import {
  cleanNames,
  isCodeName,
  isIdName,
  isKeyName,
  isStateTimeName,
  isTimeName,
  namesThingsOf,
} from "./names.ts";
import type { PersonalData } from "./personal_data.ts";
import { differOnlyInOrder, INSTANT } from "./readings.ts";

/** A field of the file, and what it becomes. */
export interface InferredField {
  /** In the file. */
  name: string;
  /** After cleaning. */
  clean: string;
  /** `text` where nothing else fits all values. */
  type: "boolean" | "integer" | "number" | "instant" | "text" | "nested" | "empty";
  /** What of a person it seems to hold: then it is text, whatever else would fit. */
  personal: PersonalData | undefined;
  /** How its values are read, where they are more than text. */
  fit: Fit | undefined;
  /** Its times can be read with the day first and with the month first. */
  isOrderOpen: boolean;
  /** Whether every record has it, null or not. */
  isAlwaysThere: boolean;
  /** Records in which it is null after cleaning. */
  nulls: number;
  facts: FieldFacts;
  summary: FieldProfile;
}

export interface InferredSource {
  kind: "events" | "entities" | "logs";
  format: LogFormat | undefined;
  /** Whether the file's fields are all text, as in CSV. */
  isText: boolean;
  records: number;
  fields: readonly InferredField[];
  /** The field with the event time. */
  time: InferredField | undefined;
  /** The fields that together name a record, or the entity that it is a state of; none: nothing does. */
  id: readonly InferredField[];
}

export interface InferOptions {
  /** Of the source. */
  name: string;
  options: FileOptions;
}

/** Among fewer records than this a field may be unique by chance. */
const ENOUGH_FOR_ID = 100;
/** What a source of this name has to be for this file. */
export function inferSource(facts: FileFacts, { name: source, options }: InferOptions): InferredSource {
  const { records } = facts;
  const names = cleanNames(facts.fields.keys());
  const fields = [...facts.fields].map(([name, field]) =>
    inferField(name, { clean: names.get(name)!, field, records })
  );
  const isLog = options.format === "lines";
  const time = timeField(fields);
  const id = isLog ? [] : idFields(fields, facts);
  const entity = isLog ? [] : entityFields(fields, { source, facts, time, id });
  return {
    kind: isLog ? "logs" : entity.length > 0 ? "entities" : "events",
    format: isLog ? facts.logFormat ?? { pattern: "(?P<message>.*)" } : undefined,
    isText: options.format === "csv",
    records,
    fields,
    time,
    id: entity.length > 0 ? entity : id,
  };
}

function inferField(
  name: string,
  { clean, field, records }: { clean: string; field: FieldFacts; records: number },
): InferredField {
  const personal = field.nested > 0 ? undefined : field.personal.kind(clean);
  const fit = personal === undefined ? fitOf(field, clean) : undefined;
  const nullWords = [...field.nullWords.values()].reduce((sum, count) => sum + count, 0);
  const absent = records - field.present + field.nulls;
  return {
    name,
    clean,
    type: typeOf(field, fit),
    personal,
    fit,
    isOrderOpen: fit !== undefined &&
      field.fitting.some(({ reading }) => differOnlyInOrder(reading, fit.reading)),
    isAlwaysThere: field.present === records,
    // Text with nothing in it stays text; what is cast becomes null.
    nulls: fit === undefined ? absent : absent + field.blanks + nullWords,
    facts: field,
    summary: field.summary(name, records),
  };
}

/** Milliseconds since 1970 are integers too: there the name tells. */
function fitOf({ fitting }: FieldFacts, clean: string): Fit | undefined {
  const asTime = fitting.find(({ reading }) => reading === INSTANT);
  return asTime !== undefined && isTimeName(clean) ? asTime : fitting[0];
}

function typeOf({ nested, values }: FieldFacts, fit: Fit | undefined): InferredField["type"] {
  if (fit !== undefined) return fit.reading.kind;
  if (nested > 0) return "nested";
  return values === 0 ? "empty" : "text";
}

/** A time that no record lacks, that has passed, and that can be read in one way only; as ISO has it, if there is one. */
function timeField(fields: readonly InferredField[]): InferredField | undefined {
  const now = new Date().toISOString();
  const times = fields.filter(({ type, fit, nulls, isOrderOpen }) =>
    type === "instant" && nulls === 0 && !isOrderOpen && String(fit?.max) <= now
  );
  const plain = times.filter(({ fit }) => fit?.reading === INSTANT);
  const named = (some: readonly InferredField[]) => some.find(({ clean }) => isTimeName(clean));
  return named(plain) ?? named(times) ?? plain[0] ?? times[0];
}

const isComplete = ({ nulls, facts }: InferredField) => nulls === 0 && facts.blanks === 0;

function idFields(fields: readonly InferredField[], { records, keys }: FileFacts): InferredField[] {
  if (records < ENOUGH_FOR_ID) return [];
  const single = fields.find((field) =>
    (field.type === "integer" || field.type === "text") && isComplete(field) &&
    field.facts.unique.areUnique &&
    (isIdName(field.clean) || field.facts.shapes.areUuids)
  );
  if (single !== undefined) return [single];
  // A time is part of what names a state of an entity, and no id of an event.
  const together = keys.unique.find((names) =>
    names.every((name) => isKeyName(fieldNamed(fields, name).clean))
  );
  return (together ?? []).map((name) => fieldNamed(fields, name));
}

/**
 * The fields that name an entity, where the records are states of such: they tell when they began, or the file holds one
 * record a thing that it is called after, and no time.
 */
function entityFields(
  fields: readonly InferredField[],
  { source, facts, time, id }: {
    source: string;
    facts: FileFacts;
    time: InferredField | undefined;
    id: readonly InferredField[];
  },
): readonly InferredField[] {
  if (facts.records < ENOUGH_FOR_ID) return [];
  const [only] = id;
  if (time === undefined) {
    return id.length === 1 && namesThingsOf(source, only!.clean) ? id : [];
  }
  if (!isStateTimeName(time.clean)) return [];
  if (id.length === 1) return id;
  const states = facts.keys.unique.find((names) =>
    names.includes(time.name) &&
    names.every((name) => name === time.name || isKeyName(fieldNamed(fields, name).clean))
  );
  return (states ?? []).filter((name) => name !== time.name).map((name) => fieldNamed(fields, name));
}

function fieldNamed(fields: readonly InferredField[], name: string): InferredField {
  return fields.find((field) => field.name === name)!;
}

/** Whether numbers of this field are names rather than amounts. */
export function isCode({ clean }: InferredField): boolean {
  return isCodeName(clean);
}

/** Few values for many records. */
export function enumValues({ type, personal, facts }: InferredField): string[] | undefined {
  const { fewValues, values } = facts;
  if (
    type !== "text" || personal !== undefined || fewValues === undefined || fewValues.size < 2 ||
    values < fewValues.size * 10
  ) {
    return undefined;
  }
  const texts = [...fewValues.keys()].map(String);
  return texts.every((text) => text.length <= 60) ? texts.sort() : undefined;
}

/** The form that all values of a code have. */
export function codePattern({ type, personal, facts }: InferredField): string | undefined {
  return type === "text" && personal === undefined && facts.values >= 20 ? facts.shapes.pattern() : undefined;
}
