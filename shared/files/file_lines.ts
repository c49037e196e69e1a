import { keptText, MAX_LINE_BYTES } from "./file_record.ts";

/** A line of a text file, with what stands in it or why that is no text. */
export interface FileLine {
  /** From 1. */
  number: number;
  /** The byte behind it and its line break. */
  end: number;
  /** Without its line break; cut where it is too long, bytes that are no UTF-8 replaced. */
  text: string;
  /** Why its text can't be used. */
  reason?: string;
  lineBreak: "\n" | "\r\n" | "";
}

export interface LinesOptions {
  /** The byte of the file that the bytes begin at; the beginning of a line. Default 0. */
  offset?: number;
  /** Lines before that. Default 0. */
  line?: number;
  /** False: more of the file will follow at another time, so what has no line break yet is no line. Default true. */
  complete?: boolean;
}

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lossyUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The lines of a text, in constant memory: of a line that is too long only the beginning is kept. A byte order mark at
 * the beginning of the file is no part of the first line.
 */
export async function* readLines(
  bytes: AsyncIterable<Uint8Array>,
  options: LinesOptions = {},
): AsyncGenerator<FileLine> {
  const { complete = true } = options;
  let end = options.offset ?? 0;
  let number = options.line ?? 0;
  const begun = new BegunLine();

  const finish = (rest: Uint8Array, lineBreakBytes: 0 | 1): FileLine => {
    const bytes = begun.bytes + rest.length;
    const content = begun.finish(rest);
    const isFirst = end === 0;
    end += bytes + lineBreakBytes;
    return toLine(isFirst ? withoutMark(content) : content, {
      number: ++number,
      end,
      bytes,
      hasBreak: lineBreakBytes === 1,
    });
  };

  for await (const part of bytes) {
    let start = 0;
    for (let at = part.indexOf(NEWLINE); at >= 0; at = part.indexOf(NEWLINE, start)) {
      yield finish(part.subarray(start, at), 1);
      start = at + 1;
    }
    begun.add(part.subarray(start));
  }
  if (complete && begun.bytes > 0) yield finish(new Uint8Array(), 0);
}

/** The line that is being read, as far as it has come; of one that is too long, its beginning. */
class BegunLine {
  /** All that came of it. */
  bytes = 0;
  #buffer = new Uint8Array(1_024);
  #kept = 0;

  add(part: Uint8Array): void {
    this.bytes += part.length;
    const kept = part.subarray(0, MAX_LINE_BYTES - this.#kept);
    const needed = this.#kept + kept.length;
    if (needed > this.#buffer.length) {
      // Doubled: a line may come byte by byte.
      const larger = new Uint8Array(Math.max(needed, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.#kept));
      this.#buffer = larger;
    }
    this.#buffer.set(kept, this.#kept);
    this.#kept = needed;
  }

  /** The line with its last part, to be used before anything is added again. */
  finish(rest: Uint8Array): Uint8Array {
    if (this.bytes === 0) return rest;
    this.add(rest);
    const line = this.#buffer.subarray(0, this.#kept);
    this.bytes = 0;
    this.#kept = 0;
    return line;
  }
}

function withoutMark(line: Uint8Array): Uint8Array {
  return BYTE_ORDER_MARK.every((byte, index) => line[index] === byte) ? line.subarray(3) : line;
}

function toLine(
  bytes: Uint8Array,
  line: { number: number; end: number; bytes: number; hasBreak: boolean },
): FileLine {
  const { number, end, hasBreak } = line;
  const hasReturn = hasBreak && bytes.at(-1) === CARRIAGE_RETURN;
  const content = hasReturn ? bytes.subarray(0, -1) : bytes;
  const place = { number, end, lineBreak: hasReturn ? "\r\n" : hasBreak ? "\n" : "" } as const;
  if (line.bytes > MAX_LINE_BYTES) {
    const reason = `has ${line.bytes} bytes, and may have ${MAX_LINE_BYTES}`;
    return { ...place, text: keptText(lossyUtf8.decode(content)), reason };
  }
  try {
    const text = strictUtf8.decode(content);
    if (!text.includes("\0")) return { ...place, text };
    return { ...place, text: keptText(text), reason: "holds the character U+0000, which cannot be stored" };
  } catch {
    const reason = "holds bytes that are no UTF-8";
    return { ...place, text: keptText(lossyUtf8.decode(content)), reason };
  }
}
