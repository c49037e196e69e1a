import type { Reason } from "shared/errors.ts";
import { messageOf } from "shared/errors.ts";
import { pointerToken } from "shared/reason_text.ts";
import { textMistakes } from "shared/storable_text.ts";

export type ParsedText = ParsedJson | UnparsedText;

export interface ParsedJson {
  value: unknown;
  /** What in this part of the value could not be kept as it was written. */
  mistakesIn(part: unknown): Reason[];
}

export interface UnparsedText {
  text: string;
  /** The text is not quite what came. */
  altered: boolean;
  reason: Reason;
  /** The same without any of the text. */
  quietReason: Reason;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
const lossyUtf8 = new TextDecoder();

const ROUNDED = "is an integer beyond 2^53, which JSON readers round: send it as text";
const INFINITE = "is a number beyond 1.8e308, which JSON readers take for infinity: send it as text";

/** Whether a value with these mistakes is not what was written. */
export function isAltered(mistakes: readonly Reason[]): boolean {
  return mistakes.some(({ message }) => message === ROUNDED || message === INFINITE);
}

/** The bytes as text, or what can be shown of them. */
export function readText(data: Uint8Array): { text: string } | UnparsedText {
  try {
    return { text: utf8.decode(data) };
  } catch {
    const reason = { path: "", message: "must be text in UTF-8" };
    return { text: storable(lossyUtf8.decode(data)), altered: true, reason, quietReason: reason };
  }
}

/**
 * Reads JSON, and finds what JSON can say but the platform could not keep: integers beyond 2^53, which every
 * reader of JSON here would round; numbers beyond all; the character U+0000, which PostgreSQL has no place for;
 * halves of surrogate pairs.
 *
 * @returns the value with a function that lists such mistakes in a part of it, or the text with why it is not JSON
 */
export function parseJsonText(data: Uint8Array): ParsedText {
  const read = readText(data);
  return "reason" in read ? read : parseJson(read.text);
}

/** {@link parseJsonText} for what is text already. */
export function parseJson(text: string): ParsedText {
  try {
    const value: unknown = JSON.parse(text);
    const rounded = roundedIntegers(text);
    const maybeOddText = text.includes("\\u") && /\\u(?:0000|[dD][89a-fA-F])/.test(text);
    const maybeInfinite = /\d[eE]\+?\d{3}/.test(text);
    if (rounded.size === 0 && !maybeOddText && !maybeInfinite) return { value, mistakesIn: () => [] };
    return {
      value,
      mistakesIn: (part) => [...numberMistakes(part, rounded, ""), ...textMistakes(part)],
    };
  } catch (error) {
    const quietReason = { path: "", message: "must be JSON" };
    const reason = { path: "", message: `must be JSON: ${messageOf(error)}` };
    return { text: storable(text), altered: text.includes("\0"), reason, quietReason };
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

/** Numbers that could not be kept, by their places. */
function numberMistakes(value: unknown, rounded: ReadonlySet<number>, path: string): Reason[] {
  if (typeof value === "number") {
    if (rounded.has(value)) return [{ path, message: ROUNDED }];
    return Number.isFinite(value) ? [] : [{ path, message: INFINITE }];
  }
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) =>
    numberMistakes(item, rounded, `${path}/${pointerToken(name)}`)
  );
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
