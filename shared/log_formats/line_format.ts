import type { DataRecord } from "../contracts/envelope.ts";
import type { Instant } from "../contracts/time.ts";

/** What a line says, or why and where it is not of its format; the reason quotes nothing of the line. */
export type ReadLine = { data: DataRecord } | { reason: string };

/** Reads one line. `arrivedAt`: when it came, for formats that write a time without its year. */
export type LogLineReader = (line: string, circumstances: { arrivedAt: Instant }) => ReadLine;

/** A format of log lines. */
export interface LineFormat {
  read: LogLineReader;
  /** JSON Schema of the records. */
  schema: Record<string, unknown>;
}

/**
 * A format from a function that takes a line apart.
 *
 * @param name as people know it: `must be a combined log line: at character 12 ...`
 */
export function cursorFormat(
  name: string,
  take: (cursor: LineCursor, circumstances: { arrivedAt: Instant }) => DataRecord,
  schema: Record<string, unknown>,
): LineFormat {
  return {
    schema,
    read: (line, circumstances) => {
      try {
        return { data: take(new LineCursor(line), circumstances) };
      } catch (error) {
        if (!(error instanceof LineMismatch)) throw error;
        return { reason: `must be a line in the format ${name}: ${error.message}` };
      }
    },
  };
}

/** JSON Schema of records that have all of these fields. */
export function schemaOf(properties: Record<string, unknown>): Record<string, unknown> {
  return { type: "object", required: Object.keys(properties), properties };
}

class LineMismatch extends Error {}

/** A place in a line that moves from left to right, so that no part of it is read twice. */
export class LineCursor {
  readonly #line: string;
  #at = 0;

  constructor(line: string) {
    this.#line = line;
  }

  /**
   * Takes what the pattern matches here.
   *
   * @param pattern sticky (`/.../y`), and linear by itself
   * @param expected what should stand here, for the reason
   */
  take(pattern: RegExp, expected: string): RegExpExecArray {
    return this.takeIf(pattern) ?? this.fail(expected);
  }

  /** Takes what the pattern matches here, if it does. */
  takeIf(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#line);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match;
  }

  /** Takes everything before the next place of the text, and the text. */
  takeUntil(text: string, expected: string): string {
    const end = this.#line.indexOf(text, this.#at);
    if (end < 0) return this.fail(expected);
    const taken = this.#line.slice(this.#at, end);
    this.#at = end + text.length;
    return taken;
  }

  takeRest(): string {
    const rest = this.#line.slice(this.#at);
    this.#at = this.#line.length;
    return rest;
  }

  /** How many characters were taken. */
  get at(): number {
    return this.#at;
  }

  /** Whether nothing is left. */
  isAtEnd(): boolean {
    return this.#at === this.#line.length;
  }

  requireEnd(): void {
    if (!this.isAtEnd()) this.fail("the end of the line");
  }

  /**
   * Gives the line up.
   *
   * @param options.at where the part begins that is not as expected, counted from 0; default: here
   */
  fail(expected: string, options: { at?: number } = {}): never {
    const { at = this.#at } = options;
    throw new LineMismatch(`at character ${at + 1} must stand ${expected}`);
  }
}
