/** What the records of a file are like. @module */
import type { LogFormat } from "shared/contracts/source.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";
import { compileLogFormat, detectLogFormat } from "shared/log_formats/log_formats.ts";
import { CompositeKeys } from "./composite_keys.ts";
import { FieldFacts } from "./field_facts.ts";
import { type ReadableFile, readRecords } from "./file_records.ts";

/** More would make no readable definition; later ones are only counted. */
const MOST_FIELDS = 500;
/** So many lines are looked at to tell their format. */
const DETECTION_LINES = 200;

/** A field of a record in JavaScript's own names, which no cleaning can use. */
export const isUnusable = (field: string): boolean => field in Object.prototype;

export interface FileFacts {
  /** Records that can be read. */
  records: number;
  /** Lines that cannot, the first of them with its reason. */
  unreadable: number;
  firstUnreadable: { line: number; reason: string } | undefined;
  /** In the order of their columns, else in that in which they come. */
  fields: ReadonlyMap<string, FieldFacts>;
  /** Fields that name the records together. */
  keys: CompositeKeys;
  /** Fields that are left out: there are too many, or their names are no names. */
  leftOut: ReadonlySet<string>;
  /** Of a file of log lines; `undefined` there: no format by name reads it. */
  logFormat?: LogFormat | undefined;
}

/**
 * Reads a whole file in one pass and in bounded memory.
 *
 * @param options.onRecord called after each record, with how many there were so far
 */
export async function learnFile(
  file: ReadableFile,
  options: { onRecord?: (records: number) => void } = {},
): Promise<FileFacts> {
  const isLog = file.options.format === "lines";
  const logFormat = isLog ? detectLogFormat(await firstLines(file)) : undefined;
  const readLine = logFormat === undefined
    ? (text: string) => ({ data: { message: text } })
    : compileLogFormat(logFormat);
  const circumstances = { arrivedAt: new Date().toISOString() };

  const fields = new Map<string, FieldFacts>();
  const leftOut = new Set<string>();
  const keys = new CompositeKeys();
  const facts: FileFacts = { records: 0, unreadable: 0, firstUnreadable: undefined, fields, keys, leftOut };
  if (isLog) facts.logFormat = logFormat;

  const take = (record: DataRecord) => {
    facts.records++;
    for (const [name, value] of Object.entries(record)) fieldOf(name)?.add(value);
    keys.add(record, (name) => fields.get(name)?.unique.areUnique ?? false);
    options.onRecord?.(facts.records);
  };
  const fieldOf = (name: string): FieldFacts | undefined => {
    const known = fields.get(name);
    if (known !== undefined) return known;
    if (fields.size >= MOST_FIELDS || isUnusable(name)) {
      if (leftOut.size < MOST_FIELDS) leftOut.add(name);
      return undefined;
    }
    const field = new FieldFacts();
    fields.set(name, field);
    return field;
  };
  const refuse = (line: number, reason: string) => {
    facts.unreadable++;
    facts.firstUnreadable ??= { line, reason };
  };

  for await (const record of readRecords(file, { onHeader: (columns) => columns.forEach(fieldOf) })) {
    if ("data" in record) take(record.data);
    else if (record.reason !== undefined) refuse(record.line, record.reason);
    else {
      const read = readLine(record.text, circumstances);
      if ("data" in read) take(read.data);
      else refuse(record.line, read.reason);
    }
  }
  return facts;
}

async function firstLines(file: ReadableFile): Promise<string[]> {
  const lines: string[] = [];
  for await (const record of readRecords(file)) {
    if ("text" in record) lines.push(record.text);
    if (lines.length === DETECTION_LINES) break;
  }
  return lines;
}
