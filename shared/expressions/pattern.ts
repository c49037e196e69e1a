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
  /** The names of its named groups, in the order in which they open. */
  readonly groups: readonly string[];
  /** Whether the pattern is found anywhere in the text; anchor with `^` and `$`. */
  test(text: string): boolean;
  /**
   * What its named groups hold in the first place where it is found, by name; null: a group that took no part.
   *
   * @param options.whole it must match the text from end to end; default false
   * @returns `undefined` when it does not match
   */
  match(text: string, options?: { whole?: boolean }): Record<string, string | null> | undefined;
}

/**
 * Compiles a pattern in the syntax of RE2. JavaScript's spellings of named groups and of Unicode escapes are
 * understood too.
 *
 * @param options.maxLength in characters; default {@link MAX_PATTERN_LENGTH}
 * @throws {AppError} `invalid` when it is too long or RE2 has no such syntax
 */
export function compilePattern(source: string, options: { maxLength?: number } = {}): Pattern {
  const { maxLength = MAX_PATTERN_LENGTH } = options;
  if (source.length > maxLength) {
    throw invalid(
      `Cannot compile the pattern: it has ${source.length} characters, at most ${maxLength} are accepted`,
    );
  }
  try {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(source));
    const groups = Object.entries(compiled.namedGroups()).sort(([, one], [, other]) => one - other);
    return {
      source,
      groups: groups.map(([name]) => name),
      test: (text) => compiled.test(text),
      match: (text, { whole = false } = {}) => {
        const matcher = compiled.matcher(text);
        if (!(whole ? matcher.matches() : matcher.find())) return undefined;
        return Object.fromEntries(groups.map(([name, index]) => [name, matcher.group(index)]));
      },
    };
  } catch (error) {
    throw invalid(`Cannot compile the pattern ${JSON.stringify(source)}: ${messageOf(error)}`);
  }
}
