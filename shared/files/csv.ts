/**
 * CSV as RFC 4180 has it, line by line, so that a broken line is told from its neighbours: each record is refused
 * alone.
 *
 * @module
 */
import type { DataRecord } from "../contracts/envelope.ts";
import { invalid } from "../errors.ts";
import type { FileLine } from "./file_lines.ts";
import { keptText, type ReadFileRecord } from "./file_record.ts";

export interface CsvOptions {
  /** Between fields. */
  delimiter: string;
  /** What an empty field is: left out, or an empty text. */
  empty: "omit" | "text";
}

/** A quoted field may go on for so many lines ... */
const MAX_RECORD_LINES = 100;
/** ... and characters; beyond that its quote counts as never closed. */
const MAX_RECORD_CHARACTERS = 256 * 1024;

type Fields = { fields: string[] } | { mistake: string };

/**
 * Names of the columns, from the first line that is not empty.
 *
 * @returns `undefined` when the file has no such line
 * @throws {AppError} `invalid` when the columns can't be told apart by their names
 */
export async function readHeader(
  lines: LineQueue,
  options: CsvOptions,
): Promise<{ columns: string[]; line: number; end: number } | undefined> {
  refuseDelimiter(options.delimiter);
  const found = await nextRecord(lines, options);
  if (found === undefined) return undefined;
  const { first, last, content } = found;
  const where = `Cannot read the file: its header (line ${first.number})`;
  if ("mistake" in content) throw invalid(`${where} ${content.mistake}`);
  const columns = content.fields;
  const nameless = columns.indexOf("");
  if (nameless >= 0) throw invalid(`${where} has no name for column ${nameless + 1}: each must have one`);
  const repeated = columns.find((name, index) => columns.indexOf(name) !== index);
  if (repeated !== undefined) {
    throw invalid(`${where} names two columns "${repeated}": each must have a name of its own`);
  }
  return { columns, line: last.number, end: last.end };
}

function refuseDelimiter(delimiter: string): void {
  if (!/^["\r\n]$/.test(delimiter)) return;
  throw invalid(
    `Cannot read the file: the delimiter is ${
      JSON.stringify(delimiter)
    }, and must be no quote and no line break`,
  );
}

/** The records behind the header. A line with nothing in it is none. */
export async function* readCsvRecords(
  lines: LineQueue,
  columns: readonly string[],
  options: CsvOptions,
): AsyncGenerator<ReadFileRecord> {
  for (;;) {
    const found = await nextRecord(lines, options, columns.length);
    if (found === undefined) return;
    const { first, last, content, text } = found;
    const position = { line: first.number, lastLine: last.number, end: last.end };
    if ("fields" in content) yield { data: toData(columns, content.fields, options), ...position };
    else yield { text: keptText(text), reason: content.mistake, ...position };
  }
}

function toData(columns: readonly string[], fields: readonly string[], { empty }: CsvOptions): DataRecord {
  const entries: [string, string][] = [];
  for (let index = 0; index < fields.length; index++) {
    const value = fields[index]!;
    if (value !== "" || empty === "text") entries.push([columns[index]!, value]);
  }
  return Object.fromEntries(entries);
}

interface FoundRecord {
  first: FileLine;
  last: FileLine;
  text: string;
  content: Fields;
}

async function nextRecord(
  lines: LineQueue,
  { delimiter }: CsvOptions,
  columns?: number,
): Promise<FoundRecord | undefined> {
  let first: FileLine | undefined;
  do {
    first = await lines.peek(0);
    if (first === undefined) return undefined;
    if (first.text === "") lines.drop(1);
  } while (first.text === "");

  const { text, reason } = first;
  const alone = (content: Fields): FoundRecord => {
    lines.drop(1);
    return { first, last: first, text, content };
  };
  if (reason !== undefined) return alone({ mistake: reason });
  if (!text.includes('"')) return alone(counted(text.split(delimiter), columns));
  const fields = splitFields(text, delimiter);
  if ("mistake" in fields) return alone(fields);
  if ("fields" in fields) return alone(counted(fields.fields, columns));

  const whole = await complete(lines, first);
  // More of the file is to come, and may close the quote.
  if (whole === "unknown") return undefined;
  if (whole !== undefined) {
    const content = splitFields(whole.text, delimiter);
    const fitting = "fields" in content ? counted(content.fields, columns) : content;
    if ("fields" in fitting) {
      lines.drop(whole.lines);
      return { first, last: whole.last, text: whole.text, content: fitting };
    }
  }
  // Only the line with the quote is refused: those behind it may well be records of their own.
  return alone({ mistake: `has a quote in field ${fields.open} that is not closed` });
}

function counted(fields: string[], columns: number | undefined): Fields {
  if (columns === undefined || fields.length === columns) return { fields };
  const has = fields.length === 1 ? "1 field" : `${fields.length} fields`;
  return { mistake: `has ${has}, and must have ${columns}, as the header does` };
}

/**
 * The line with those that follow it, up to where its quotes are closed.
 *
 * @returns `undefined` when they never are
 */
async function complete(
  lines: LineQueue,
  first: FileLine,
): Promise<{ text: string; last: FileLine; lines: number } | "unknown" | undefined> {
  const texts = [first.text];
  let lineBreak = first.lineBreak;
  let characters = first.text.length;
  for (let count = 1; count < MAX_RECORD_LINES; count++) {
    const line = await lines.peek(count);
    if (line === undefined) return lines.complete ? undefined : "unknown";
    characters += line.text.length;
    if (line.reason !== undefined || characters > MAX_RECORD_CHARACTERS) return undefined;
    texts.push(lineBreak, line.text);
    lineBreak = line.lineBreak;
    // Within quotes, the one that closes them is the first that makes their number uneven.
    if (quotesIn(line.text) % 2 === 1) return { text: texts.join(""), last: line, lines: count + 1 };
  }
  return undefined;
}

function quotesIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) count++;
  return count;
}

/** @returns the fields, what is wrong with them, or the number of the field whose quote is still open */
export function splitFields(text: string, delimiter: string): Fields | { open: number } {
  const fields: string[] = [];
  for (let at = 0;;) {
    if (text[at] === '"') {
      let value = "";
      let from = at + 1;
      for (;;) {
        const quote = text.indexOf('"', from);
        if (quote < 0) return { open: fields.length + 1 };
        if (text[quote + 1] !== '"') {
          value += text.slice(from, quote);
          at = quote + 1;
          break;
        }
        value += text.slice(from, quote + 1);
        from = quote + 2;
      }
      fields.push(value);
      if (at === text.length) return { fields };
      if (text[at] !== delimiter) {
        return { mistake: `has text behind the closing quote of field ${fields.length}` };
      }
      at++;
    } else {
      const next = text.indexOf(delimiter, at);
      const value = next < 0 ? text.slice(at) : text.slice(at, next);
      if (value.includes('"')) {
        return { mistake: `has a quote within field ${fields.length + 1}, which does not begin with one` };
      }
      fields.push(value);
      if (next < 0) return { fields };
      at = next + 1;
    }
  }
}

/** Lines, with a look at those to come. */
export class LineQueue {
  readonly complete: boolean;
  readonly #source: AsyncIterator<FileLine>;
  /** Looked at; those before `#taken` are taken. */
  #ahead: FileLine[] = [];
  #taken = 0;

  /** @param options.complete whether the file ends with the lines */
  constructor(lines: AsyncIterable<FileLine>, { complete }: { complete: boolean }) {
    this.#source = lines[Symbol.asyncIterator]();
    this.complete = complete;
  }

  /** The line so many behind the next one, or nothing when the lines end before. */
  async peek(index: number): Promise<FileLine | undefined> {
    while (this.#ahead.length - this.#taken <= index) {
      const { done, value } = await this.#source.next();
      if (done) return undefined;
      this.#ahead.push(value);
    }
    return this.#ahead[this.#taken + index];
  }

  drop(count: number): void {
    this.#taken += count;
    if (this.#taken < this.#ahead.length && this.#taken < MAX_RECORD_LINES) return;
    this.#ahead = this.#ahead.slice(this.#taken);
    this.#taken = 0;
  }

  /** Ends the source, where not all of it was read. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source.return?.();
  }
}
