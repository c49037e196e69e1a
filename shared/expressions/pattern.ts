/**
 * Patterns that users write (expectations, expressions, JSON Schemas) run on RE2's linear-time engine, so that
 * no pattern can hang a service. Back references and look-around do not exist there.
 *
 * @module
 */
import { RE2JS } from "re2js";
import { invalid, messageOf } from "../errors.ts";

/** Longest pattern accepted, in characters. */
export const MAX_PATTERN_LENGTH = 1_000;

/** A compiled pattern. */
export interface Pattern {
  readonly source: string;
  /** Whether the pattern is found anywhere in the text; anchor with `^` and `$`. */
  test(text: string): boolean;
}

/**
 * Compiles a pattern in the syntax of RE2. JavaScript's spellings of named groups and of Unicode escapes are
 * understood too.
 *
 * @throws {AppError} `invalid` when it is too long or RE2 has no such syntax
 */
export function compilePattern(source: string): Pattern {
  if (source.length > MAX_PATTERN_LENGTH) {
    throw invalid(
      `Cannot compile the pattern: it has ${source.length} characters, at most ${MAX_PATTERN_LENGTH} are accepted`,
    );
  }
  try {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(source));
    return { source, test: (text) => compiled.test(text) };
  } catch (error) {
    throw invalid(`Cannot compile the pattern ${JSON.stringify(source)}: ${messageOf(error)}`);
  }
}
