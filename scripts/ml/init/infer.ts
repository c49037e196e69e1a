/** From what a file is like to how its records come in and are cleaned. @module */
import type { FileOptions } from "shared/contracts/data_ingestion.ts";
import type { FieldProfile } from "shared/contracts/data_preprocessing.ts";
import type { LogFormat } from "shared/contracts/source.ts";
import type { FieldFacts, Fit } from "./field_facts.ts";
import type { FileFacts } from "./file_facts.ts";
import { cleanNames } from "./names.ts";
import { differOnlyInOrder, INSTANT } from "./readings.ts";

/** A field of the file, and what it becomes. */
export interface InferredField {
  /** In the file. */
  name: string;
  /** After cleaning. */
  clean: string;
  /** `text` where nothing else fits all values. */
  type: "boolean" | "integer" | "number" | "instant" | "text" | "nested" | "empty";
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
  kind: "events" | "logs";
  format: LogFormat | undefined;
  /** Whether the file's fields are all text, as in CSV. */
  isText: boolean;
  records: number;
  fields: readonly InferredField[];
  /** The field with the event time. */
  time: InferredField | undefined;
  /** The field that names a record. */
  id: InferredField | undefined;
}

/** Among fewer records than this a field may be unique by chance. */
const ENOUGH_FOR_ID = 100;
const TIME_NAME = /(?:^|_)(?:time|date|datetime|timestamp|ts|at|when)$/;
const ID_NAME = /(?:^|_)(?:id|uuid|guid|key|no|nr|number)$/;
/** Integers whose size says nothing. */
const CODE_NAME = /(?:^|_)(?:id|uuid|guid|key|no|nr|number|code|zip|phone)$/;

/** What a source for this file has to be. */
export function inferSource(facts: FileFacts, options: FileOptions): InferredSource {
  const { records } = facts;
  const names = cleanNames(facts.fields.keys());
  const fields = [...facts.fields].map(([name, field]) =>
    inferField(name, { clean: names.get(name)!, field, records })
  );
  const isLog = options.format === "lines";
  return {
    kind: isLog ? "logs" : "events",
    format: isLog ? facts.logFormat ?? { pattern: "(?P<message>.*)" } : undefined,
    isText: options.format === "csv",
    records,
    fields,
    time: timeField(fields),
    id: isLog ? undefined : idField(fields, records),
  };
}

function inferField(
  name: string,
  { clean, field, records }: { clean: string; field: FieldFacts; records: number },
): InferredField {
  const fit = fitOf(field, clean);
  const nullWords = [...field.nullWords.values()].reduce((sum, count) => sum + count, 0);
  const absent = records - field.present + field.nulls;
  return {
    name,
    clean,
    type: typeOf(field, fit),
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
  return asTime !== undefined && TIME_NAME.test(clean) ? asTime : fitting[0];
}

function typeOf({ nested, values }: FieldFacts, fit: Fit | undefined): InferredField["type"] {
  if (fit !== undefined) return fit.reading.kind;
  if (nested > 0) return "nested";
  return values === 0 ? "empty" : "text";
}

/** A time that the source can read itself, that no record lacks, and that has passed. */
function timeField(fields: readonly InferredField[]): InferredField | undefined {
  const now = new Date().toISOString();
  const times = fields.filter(({ fit, nulls }) =>
    fit?.reading === INSTANT && nulls === 0 && String(fit.max) <= now
  );
  return times.find(({ clean }) => TIME_NAME.test(clean)) ?? times[0];
}

function idField(fields: readonly InferredField[], records: number): InferredField | undefined {
  if (records < ENOUGH_FOR_ID) return undefined;
  return fields.find(({ clean, type, facts, nulls }) =>
    (type === "integer" || type === "text") && nulls === 0 && facts.blanks === 0 && facts.unique.areUnique &&
    (ID_NAME.test(clean) || facts.shapes.areUuids)
  );
}

/** Whether numbers of this field are names rather than amounts. */
export function isCode({ clean }: InferredField): boolean {
  return CODE_NAME.test(clean);
}

/** Few values for many records. */
export function enumValues({ type, facts }: InferredField): string[] | undefined {
  const { fewValues, values } = facts;
  if (type !== "text" || fewValues === undefined || fewValues.size < 2 || values < fewValues.size * 10) {
    return undefined;
  }
  const texts = [...fewValues.keys()].map(String);
  return texts.every((text) => text.length <= 60) ? texts.sort() : undefined;
}

/** The form that all values of a code have. */
export function codePattern({ type, facts }: InferredField): string | undefined {
  return type === "text" && facts.values >= 20 ? facts.shapes.pattern() : undefined;
}
