// @ts-types="@types/luxon"
import { DateTime } from "luxon";
import { daysInMonth, type Instant, parseTime } from "../contracts/time.ts";
import { invalid, messageOf } from "../errors.ts";
import { refuseUnknownLocale } from "./locale.ts";
import { localTimeOf } from "./local_time.ts";

/** Times in a format of Luxon's tokens. */
export interface TimeFormat {
  /** A time in this format. */
  readonly example: string;
  /** @returns the instant, or `undefined` when the text is not in the format, or no time from year 0 to 9999 */
  read(text: string): Instant | undefined;
}

export interface TimeFormatOptions {
  /** An IANA name or `UTC+2`: where the format has no offset. */
  zone: string;
  /** BCP 47: the language of months, weekdays and meridiems. */
  locale: string;
}

/** What each letter of a token tells. Others would be macros, whose meaning changes with the locale data. */
const UNITS: ReadonlyMap<string, string> = new Map([
  ["G", "era"],
  ["y", "year"],
  ["k", "week year"],
  ["W", "week"],
  ["o", "day of the year"],
  ["q", "quarter"],
  ["M", "month"],
  ["L", "month"],
  ["d", "day"],
  ["E", "weekday"],
  ["c", "weekday"],
  ["H", "hour"],
  ["h", "hour"],
  ["a", "meridiem"],
  ["m", "minute"],
  ["s", "second"],
  ["S", "fraction"],
  ["u", "fraction"],
  ["Z", "offset"],
]);
/** The tokens that Luxon can parse, but for the names of zones. It would take those of other lengths for text. */
const TOKEN =
  /^(?:G{1,2}|y|yy|y{4,6}|kk|k{4}|W{1,2}|o|ooo|q{1,2}|[ML]{1,4}|d{1,2}|[Ec]|[Ec]{3,4}|H{1,2}|h{1,2}|a|m{1,2}|s{1,2}|S|SSS|u{1,3}|Z{1,3})$/;
const TOKENS_AND_TEXT = /'[^']*'|([A-Za-z])\1*|[^A-Za-z']+/g;

/** Longer than any time in a format of 100 characters. */
const MAX_TEXT_LENGTH = 500;
/** The afternoon of a day of which no two parts are equal. */
const EXAMPLE_MS = Date.UTC(2011, 4, 23, 16, 26, 37, 589);

/**
 * Compiles a format, `dd/MM/yyyy HH:mm:ss`. Digits are those of ASCII in all locales.
 *
 * @throws {AppError} `invalid` when the format has unknown tokens, tells a part twice or lacks the year, or when the zone
 *   or the locale is not known
 */
export function compileTimeFormat(format: string, { zone, locale }: TimeFormatOptions): TimeFormat {
  refuseUnknownLocale(locale);
  const { parts, hasOffset } = partsOf(format);
  const fromLocal = hasOffset ? (epochMs: number) => epochMs : localTimeOf(zone);
  const language = { locale, numberingSystem: "latn" } as const;
  const parser = DateTime.buildFormatParser(format, language);
  const example = DateTime.fromMillis(EXAMPLE_MS, { zone: "UTC", ...language }).toFormat(format);
  const readByLuxon = (text: string) => {
    if (text.length > MAX_TEXT_LENGTH) return undefined;
    const time = DateTime.fromFormatParser(text, parser, { zone: "UTC", ...language });
    return time.isValid ? time.toMillis() : undefined;
  };
  try {
    readByLuxon(example);
  } catch (error) {
    throw invalid(`has the format "${format}", which contradicts itself: ${messageOf(error)}`);
  }
  const readOrdinary = ordinaryReader(parts);
  const readOther = remembering(readByLuxon);
  return {
    example,
    read(text) {
      const epochMs = readOrdinary?.(text) ?? readOther(text);
      return epochMs === undefined ? undefined : parseTime(fromLocal(epochMs));
    },
  };
}

/**
 * The format's tokens, and the text between them.
 *
 * @throws {AppError} `invalid` when Luxon would silently take something for text, or for a part of today
 */
function partsOf(format: string): { parts: readonly string[]; hasOffset: boolean } {
  const fail = (why: string) => invalid(`has the format "${format}", which ${why}`);
  const parts = format.match(TOKENS_AND_TEXT) ?? [];
  if (parts.join("") !== format) throw fail("opens a quote that it does not close");
  const told = new Map<string, string>();
  for (const token of parts.filter(isToken)) {
    if (!TOKEN.test(token)) {
      throw fail(
        `has the unknown token "${token}": it must be as in yyyy-MM-dd HH:mm:ss, with text in single quotes`,
      );
    }
    const unit = UNITS.get(token.charAt(0))!;
    // Besides its doubtful sense, this keeps the time for which a text is looked at within bounds.
    if (told.has(unit)) throw fail(`tells the ${unit} twice`);
    told.set(unit, token);
  }
  if (!told.has("year") && !told.has("week year")) throw fail("tells no year");
  if (told.has("day") && !told.has("month")) throw fail("tells the day without the month");
  if (told.get("hour")?.startsWith("h") && !told.has("meridiem")) {
    throw fail("tells an hour of twelve, h, without a for am and pm");
  }
  return { parts, hasOffset: told.has("offset") };
}

function isToken(part: string): boolean {
  return /^[A-Za-z]/.test(part);
}

/** Milliseconds since 1970 of the time as it is written, as if it were UTC where it has no offset. */
type Read = (text: string) => number | undefined;

const MAX_REMEMBERED = 2_000;

/** Records that come together often have the same time. */
function remembering(read: Read): Read {
  const remembered = new Map<string, number>();
  return (text) => {
    const known = remembered.get(text);
    if (known !== undefined) return known;
    const epochMs = read(text);
    if (epochMs === undefined) return undefined;
    if (remembered.size >= MAX_REMEMBERED) remembered.clear();
    remembered.set(text, epochMs);
    return epochMs;
  };
}

type OrdinaryUnit = "year" | "month" | "day" | "hour" | "minute" | "second" | "millisecond";

const TWO_DIGITS = "(\\d\\d)";
const ONE_OR_TWO_DIGITS = "(\\d\\d?)";
const ORDINARY: ReadonlyMap<string, { unit: OrdinaryUnit; pattern: string }> = new Map([
  ["yyyy", { unit: "year", pattern: "(\\d{4})" }],
  ["MM", { unit: "month", pattern: TWO_DIGITS }],
  ["LL", { unit: "month", pattern: TWO_DIGITS }],
  ["M", { unit: "month", pattern: ONE_OR_TWO_DIGITS }],
  ["L", { unit: "month", pattern: ONE_OR_TWO_DIGITS }],
  ["dd", { unit: "day", pattern: TWO_DIGITS }],
  ["d", { unit: "day", pattern: ONE_OR_TWO_DIGITS }],
  ["HH", { unit: "hour", pattern: TWO_DIGITS }],
  ["H", { unit: "hour", pattern: ONE_OR_TWO_DIGITS }],
  ["mm", { unit: "minute", pattern: TWO_DIGITS }],
  ["m", { unit: "minute", pattern: ONE_OR_TWO_DIGITS }],
  ["ss", { unit: "second", pattern: TWO_DIGITS }],
  ["s", { unit: "second", pattern: ONE_OR_TWO_DIGITS }],
  ["SSS", { unit: "millisecond", pattern: "(\\d{3})" }],
]);

/**
 * Reads formats of digits alone, ten times as fast as Luxon. What it does not take may be a time all the same: that is
 * left to Luxon, as is every other format.
 */
function ordinaryReader(parts: readonly string[]): Read | undefined {
  const tokens = parts.filter(isToken).map((token) => ORDINARY.get(token));
  if (tokens.includes(undefined)) return undefined;
  const pattern = new RegExp(`^${parts.map(patternOf).join("")}$`);
  const units = tokens.map((token) => token?.unit);
  const [year, month, day, hour, minute, second, millisecond] = ([
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "millisecond",
  ] as const).map((unit) => units.indexOf(unit) + 1) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  // Group 0, the whole text, stands for what the format does not tell.
  const part = (found: RegExpExecArray, group: number, otherwise: number) =>
    group === 0 ? otherwise : Number(found[group]);
  return (text) => {
    const found = pattern.exec(text);
    if (found === null) return undefined;
    const y = part(found, year, 0);
    const m = part(found, month, 1);
    const d = part(found, day, 1);
    const h = part(found, hour, 0);
    const min = part(found, minute, 0);
    const s = part(found, second, 0);
    if (y < 100 || m < 1 || m > 12 || d < 1 || d > daysInMonth(y, m) || h > 23 || min > 59 || s > 59) {
      return undefined;
    }
    return Date.UTC(y, m - 1, d, h, min, s, part(found, millisecond, 0));
  };
}

function patternOf(part: string): string {
  if (isToken(part)) return ORDINARY.get(part)!.pattern;
  return part.replaceAll("'", "").replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
