/** As what the values of a field can be read, and which step of a cleaning does so. @module */
// @ts-types="@types/luxon"
import { DateTime } from "luxon";
import type { Step } from "shared/contracts/cleaning.ts";
import { parseTime } from "shared/contracts/time.ts";

export type Scalar = string | number | boolean;

export interface Reading {
  readonly kind: "boolean" | "integer" | "number" | "instant";
  /** What it is, for people: `a time in the format d/M/yyyy`. */
  readonly name: string;
  /** @returns the value that the step makes of it, or `undefined`; texts are trimmed */
  read(value: Scalar): number | string | boolean | undefined;
  /** The step that reads these fields. */
  step(fields: string[]): Step;
}

/** Digits that begin with a zero are a code. */
const INTEGER = /^[+-]?(?:0|[1-9]\d{0,15})(?:\.0+)?$/;
const DECIMAL = /^[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const BOOLEANS = new Map([["true", true], ["false", false], ["yes", true], ["no", false]]);
/** Milliseconds since 1970, from 2000 to 2100: numbers that are hardly anything else. */
const EARLIEST_MS = Date.UTC(2000);
const LATEST_MS = Date.UTC(2100);

/** An ISO time, or one near it: what a source can read as its event time. */
export const INSTANT: Reading = {
  kind: "instant",
  name: "a time",
  read(value) {
    if (typeof value === "number") {
      return Number.isInteger(value) && value >= EARLIEST_MS && value <= LATEST_MS
        ? parseTime(value)
        : undefined;
    }
    return typeof value === "string" ? parseTime(value) : undefined;
  },
  step: (fields) => ({ step: "cast", fields, to: "instant" }),
};

const BOOLEAN: Reading = {
  kind: "boolean",
  name: "true or false",
  read: (value) =>
    typeof value === "string"
      ? BOOLEANS.get(value.toLowerCase())
      : typeof value === "boolean"
      ? value
      : undefined,
  step: (fields) => ({ step: "cast", fields, to: "boolean" }),
};

const INTEGERS: Reading = {
  kind: "integer",
  name: "an integer",
  read(value) {
    const number = typeof value === "string" && INTEGER.test(value) ? Number(value) : value;
    return Number.isSafeInteger(number) ? Number(number) : undefined;
  },
  step: (fields) => ({ step: "cast", fields, to: "integer" }),
};

const NUMBERS: Reading = {
  kind: "number",
  name: "a number",
  read(value) {
    const number = typeof value === "string" && DECIMAL.test(value) ? Number(value) : value;
    if (typeof number !== "number" || !Number.isFinite(number)) return undefined;
    // What is rounded when it is read is a name rather than an amount.
    const isRounded = typeof value === "string" && !Number.isSafeInteger(number) && /^[+-]?\d+$/.test(value);
    return isRounded ? undefined : number;
  },
  step: (fields) => ({ step: "cast", fields, to: "number" }),
};

/** `1,234.5` and `1.234,5`; not longer than a number can hold. */
function numbersIn(locale: "en" | "de", { group, decimal }: { group: string; decimal: string }): Reading {
  const pattern = new RegExp(
    `^[+-]?(?:[0-9]{1,3}(?:[${group}][0-9]{3}){1,4}|0|[1-9][0-9]{0,14})(?:[${decimal}][0-9]+)?$`,
  );
  return {
    kind: "number",
    name: `a number as ${locale} writes it`,
    read: (value) =>
      typeof value === "string" && pattern.test(value)
        ? Number(value.replaceAll(group, "").replace(decimal, "."))
        : undefined,
    step: (fields) => ({ step: "parse_number", fields, locale }),
  };
}

function timesIn(format: string): Reading {
  return {
    kind: "instant",
    name: `a time in the format ${format}`,
    read(value) {
      if (typeof value !== "string") return undefined;
      const time = DateTime.fromFormat(value, format, { zone: "UTC", locale: "en" });
      return time.isValid ? parseTime(time.toMillis()) : undefined;
    },
    step: (fields) => ({ step: "parse_time", fields, format, zone: "UTC", locale: "en" }),
  };
}

/** The day first where a file leaves it open. */
const DATES = [
  "d/M/yyyy",
  "M/d/yyyy",
  "d.M.yyyy",
  "d-M-yyyy",
  "M-d-yyyy",
  "yyyy/M/d",
  "d/M/yy",
  "M/d/yy",
  "d LLL yyyy",
  "LLL d yyyy",
];
const CLOCKS = ["", " H:mm", " H:mm:ss", " h:mm a", " h:mm:ss a"];
const TIMES = [...DATES.flatMap((date) => CLOCKS.map((clock) => date + clock)), "dd/LLL/yyyy:HH:mm:ss ZZZ"]
  .map(timesIn);

/** All readings; of those that fit all values the first one counts. */
export const READINGS: readonly Reading[] = [
  BOOLEAN,
  INTEGERS,
  NUMBERS,
  INSTANT,
  numbersIn("en", { group: ",", decimal: "." }),
  numbersIn("de", { group: ".", decimal: "," }),
  ...TIMES,
];

/** Whether two readings differ only in what is the day and what is the month. */
export function differOnlyInOrder(one: Reading, other: Reading): boolean {
  const sorted = ({ name }: Reading) => name.replace(/[dM]/g, "?");
  return one !== other && one.kind === "instant" && sorted(one) === sorted(other);
}
