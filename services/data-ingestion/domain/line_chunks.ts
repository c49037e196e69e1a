import { MAX_BATCH_BYTES, MAX_BATCH_EVENTS } from "shared/contracts/envelope.ts";

/** What becomes one message: an array of records, or one line that is no JSON, to be rejected by itself. */
export interface Chunk {
  data: Uint8Array;
  records: number;
}

/** Longest line: with its headers it must fit into one NATS message. */
export const MAX_LINE_BYTES = 900_000;

/** A line that cannot be passed on. Everything before it was. */
export class LineTooLong extends Error {
  constructor(readonly line: number) {
    super(`line ${line} has more than ${MAX_LINE_BYTES} bytes`);
    this.name = "LineTooLong";
  }
}

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const encoder = new TextEncoder();
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Packs the lines of NDJSON into arrays, in constant memory. The text of a line is kept as it is; an empty line
 * is no record. The same bytes give the same chunks, however they arrive.
 *
 * @throws {LineTooLong} after the chunks of the lines before
 */
export async function* chunkLines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Chunk> {
  let texts: string[] = [];
  let size = 0;
  const close = (): Chunk => {
    const chunk = { data: encoder.encode(`[${texts.join(",")}]`), records: texts.length };
    texts = [];
    size = 0;
    return chunk;
  };
  try {
    for await (const line of readLines(bytes)) {
      const text = jsonOf(line);
      if (text === undefined) {
        yield { data: line, records: 1 };
        continue;
      }
      if (texts.length === MAX_BATCH_EVENTS || (texts.length > 0 && size + line.length > MAX_BATCH_BYTES)) {
        yield close();
      }
      texts.push(text);
      size += line.length + 1;
    }
  } catch (error) {
    if (error instanceof LineTooLong && texts.length > 0) yield close();
    throw error;
  }
  if (texts.length > 0) yield close();
}

function jsonOf(line: Uint8Array): string | undefined {
  try {
    const text = utf8.decode(line);
    JSON.parse(text);
    return text;
  } catch {
    // The reason is told by whoever rejects the record.
    return undefined;
  }
}

/** Lines that are not empty, without their ends. */
async function* readLines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = new Uint8Array();
  let number = 0;
  for await (const part of bytes) {
    const data = rest.length === 0 ? part : concatenate(rest, part);
    let start = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, start)) {
      const line = trimmed(data.subarray(start, end));
      number++;
      start = end + 1;
      if (line.length > MAX_LINE_BYTES) throw new LineTooLong(number);
      if (line.length > 0) yield line;
    }
    rest = data.slice(start);
    if (rest.length > MAX_LINE_BYTES) throw new LineTooLong(number + 1);
  }
  const last = trimmed(rest);
  if (last.length > 0) yield last;
}

function trimmed(line: Uint8Array): Uint8Array {
  return line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line;
}

function concatenate(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
