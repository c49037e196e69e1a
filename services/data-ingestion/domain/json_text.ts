import type { Reason } from "shared/errors.ts";
import { messageOf } from "shared/errors.ts";

export type ParsedText =
  | { value: unknown; mistakesIn: (part: unknown) => Reason[] }
  | { text: string; reason: Reason };

const utf8 = new TextDecoder("utf-8", { fatal: true });
const lossyUtf8 = new TextDecoder();

/**
 * Reads JSON, and finds what JSON can say but the platform could not keep: integers beyond 2^53, which every
 * reader of JSON here would round; the character U+0000, which PostgreSQL has no place for; halves of
 * surrogate pairs.
 *
 * @returns the value with a function that lists such mistakes in a part of it, or the text with why it is not JSON
 */
export function parseJsonText(data: Uint8Array): ParsedText {
  let text: string;
  try {
    text = utf8.decode(data);
  } catch {
    return { text: storable(lossyUtf8.decode(data)), reason: { path: "", message: "must be text in UTF-8" } };
  }
  try {
    const value: unknown = JSON.parse(text);
    const rounded = roundedIntegers(text);
    const maybeOddText = text.includes("\\u") && /\\u(?:0000|[dD][89a-fA-F])/.test(text);
    if (rounded.size === 0 && !maybeOddText) return { value, mistakesIn: () => [] };
    return { value, mistakesIn: (part) => [...mistakes(part, rounded, "")] };
  } catch (error) {
    return { text: storable(text), reason: { path: "", message: `must be JSON: ${messageOf(error)}` } };
  }
}

const storable = (text: string) => text.replaceAll("\0", "\uFFFD");

/** The values that integers in the text were rounded to. */
function roundedIntegers(text: string): Set<number> {
  const rounded = new Set<number>();
  if (!/\d{16}/.test(text)) return rounded;
  const note = (_key: string, value: unknown, context: { source?: string }) => {
    if (typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context.source ?? "")) {
      rounded.add(value);
    }
    return value;
  };
  // The reviver's third parameter (what the text says) is not in TypeScript's library yet.
  JSON.parse(text, note as (key: string, value: unknown) => unknown);
  return rounded;
}

function* mistakes(value: unknown, rounded: ReadonlySet<number>, path: string): Generator<Reason> {
  if (typeof value === "number" && rounded.has(value)) {
    yield { path, message: "is an integer beyond 2^53, which JSON readers round: send it as text" };
  } else if (typeof value === "string") {
    if (value.includes("\0")) yield { path, message: "holds the character U+0000, which cannot be stored" };
    if (!value.isWellFormed()) {
      yield { path, message: "holds half of a surrogate pair, which is no character" };
    }
  } else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      const itemPath = `${path}/${pointerToken(key)}`;
      if (key.includes("\0") || !key.isWellFormed()) {
        yield { path: itemPath, message: "is a field whose name cannot be stored" };
      }
      yield* mistakes(item, rounded, itemPath);
    }
  }
}

/** Deeper than this a record may not be nested: PostgreSQL, and whoever walks through it, would run out of stack. */
export const MAX_DEPTH = 100;

/** Whether objects and arrays stand within each other in more than so many levels. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((item) => isDeeperThan(item, levels - 1));
}

/** The value with `...` in place of what lies deeper than so many levels. */
export function cutBelow(value: unknown, levels: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (levels === 0) return "...";
  if (Array.isArray(value)) return value.map((item) => cutBelow(item, levels - 1));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, cutBelow(item, levels - 1)]));
}

/** A value as it may stand in a reason. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length <= 100 ? text : `${text.slice(0, 97)}...`;
}

/** A field's name within a JSON pointer. */
export function pointerToken(field: string): string {
  return field.replaceAll("~", "~0").replaceAll("/", "~1");
}
