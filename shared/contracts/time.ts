/**
 * Instants and durations as they stand in messages, definitions and databases: an instant is
 * ISO 8601 in UTC with milliseconds (`2011-05-02T08:26:00.000Z`), a duration ISO 8601 of fixed length
 * (weeks, days, hours, minutes, seconds; years and months have no fixed length and are refused).
 *
 * @module
 */
import { z } from "zod";

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** An instant: UTC with milliseconds and Z. Strings of this form sort as time does. */
export const instantSchema = z.string().regex(INSTANT, "must be an instant such as 2011-05-02T08:26:00.000Z")
  .refine((text) => !INSTANT.test(text) || parseTime(text) !== undefined, "must be a real date and time");

export type Instant = string;

const DURATION = /^P(?!$)(?:(\d+)W)?(?:(\d+)D)?(?:T(?!$)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,3})?)S)?)?$/;

/** A duration of fixed length, such as `P30D`, `P1W`, `PT6H`, `PT90S`. */
export const durationSchema = z.string().regex(DURATION, "must be an ISO 8601 duration such as P30D or PT6H");

export type Duration = string;

const MILLISECONDS = [604_800_000, 86_400_000, 3_600_000, 60_000, 1_000] as const;

/** A duration that is `least` at the shortest and `most` at the longest. */
export function durationWithin(least: Duration, most: Duration) {
  const [leastMs, mostMs] = [durationToMs(least), durationToMs(most)];
  const isWithin = (ms: number) => ms >= leastMs && ms <= mostMs;
  return durationSchema.refine((text) => !DURATION.test(text) || isWithin(durationToMs(text)), {
    message: `must be ${least} to ${most}`,
  });
}

/** The length of a duration in milliseconds. @throws {RangeError} when it is not of the accepted form */
export function durationToMs(duration: Duration): number {
  const match = DURATION.exec(duration);
  if (!match) {
    throw new RangeError(`Cannot read the duration "${duration}": it must be ISO 8601 such as P30D or PT6H`);
  }
  return MILLISECONDS.reduce((total, unit, index) => total + unit * Number(match[index + 1] ?? 0), 0);
}

/** Ticks and tumbling windows are counted from this Monday, so that weekly ones begin on Mondays. */
const TICK_ORIGIN_MS = Date.UTC(1970, 0, 5);

/** The latest tick at or before a time: a multiple of `stepMs` since Monday 1970-01-05T00:00Z, in milliseconds since 1970. */
export function floorToTick(epochMs: number, stepMs: number): number {
  return TICK_ORIGIN_MS + Math.floor((epochMs - TICK_ORIGIN_MS) / stepMs) * stepMs;
}

const DAY_MS = 86_400_000;
const TWO_DIGITS = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, "0"));

/** Days that were written, each up to its T: they are few, and most of the work. */
const writtenDays = new Map<number, string>();
const MAX_WRITTEN_DAYS = 10_000;
/** As far as dates of JavaScript go, either way. */
const MAX_EPOCH_MS = 8.64e15;

/**
 * Milliseconds since 1970 as an instant: what `Date.prototype.toISOString` gives, in a tenth of its time.
 *
 * @throws {RangeError} when it is no time
 */
export function toInstant(epochMs: number): Instant {
  const whole = Math.trunc(epochMs);
  if (Math.abs(whole) > MAX_EPOCH_MS) {
    throw new RangeError(`Cannot write ${epochMs} as an instant: it is no time`);
  }
  const day = Math.floor(whole / DAY_MS);
  const ms = whole - day * DAY_MS;
  const hour = TWO_DIGITS[Math.floor(ms / 3_600_000)];
  const minute = TWO_DIGITS[Math.floor(ms / 60_000) % 60];
  const second = TWO_DIGITS[Math.floor(ms / 1_000) % 60];
  const fraction = String(ms % 1_000).padStart(3, "0");
  return `${writtenDays.get(day) ?? writeDay(day, whole)}${hour}:${minute}:${second}.${fraction}Z`;
}

function writeDay(day: number, epochMs: number): string {
  const [text = ""] = new Date(epochMs).toISOString().split(/(?<=T)/);
  if (writtenDays.size >= MAX_WRITTEN_DAYS) writtenDays.clear();
  writtenDays.set(day, text);
  return text;
}

/** How many days the month has; 1 is January. */
export function daysInMonth(year: number, month: number): number {
  const isLeapYear = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return month === 2 && isLeapYear ? 29 : [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
}

const LOOSE_TIME = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2})?(\.\d+)?)?\s*(Z|UTC|[+-]\d{2}:?\d{2})?$/;

/**
 * Reads a time as people write it: ISO 8601 with or without a zone (UTC is assumed), `2010-12-01 08:26:00`,
 * `2019-10-01 00:00:00 UTC`, a date alone, or a number of milliseconds since 1970.
 *
 * @returns the instant, or `undefined` when it is none of these
 */
export function parseTime(value: unknown): Instant | undefined {
  if (typeof value === "number") return isRepresentable(value) ? toInstant(value) : undefined;
  if (typeof value !== "string") return undefined;
  const match = LOOSE_TIME.exec(value.trim());
  if (!match) return undefined;
  const [, day = "", minutes = "00:00", seconds = ":00", fraction = "", zone = "Z"] = match;
  const offset = zone === "UTC" || zone === "Z" ? "Z" : zone.replace(/^([+-]\d{2})(\d{2})$/, "$1:$2");
  if (!isRealDay(day)) return undefined;
  const epochMs = Date.parse(`${day}T${minutes}${seconds}${fraction.slice(0, 4)}${offset}`);
  return isRepresentable(epochMs) ? toInstant(epochMs) : undefined;
}

/** `Date.parse` takes February 30 for March 2. */
function isRealDay(text: string): boolean {
  const day = Number(text.slice(8));
  return day >= 1 && day <= daysInMonth(Number(text.slice(0, 4)), Number(text.slice(5, 7)));
}

/** Years 0000 to 9999: outside, an instant has another length and no longer sorts as text. */
function isRepresentable(epochMs: number): boolean {
  return epochMs >= -62_167_219_200_000 && epochMs <= 253_402_300_799_999;
}
