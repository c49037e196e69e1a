import { parseTime } from "shared/contracts/time.ts";

export type CastType = "string" | "integer" | "number" | "boolean" | "instant";

const INTEGER = /^[+-]?\d+(?:\.0+)?$/;
/** No two of its parts can take the same digits, so that a long text costs no more than its length. */
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
/** A map, because an object would know `constructor` too. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["false", false],
  ["yes", true],
  ["no", false],
  ["1", true],
  ["0", false],
]);

const EXPECTED: Readonly<Record<CastType, string>> = {
  string: "a text, a number or true or false",
  integer: "an integer such as 17850 or 17850.0, within 2^53",
  number: "a number such as 2.55 or 1e-3",
  boolean: "one of true, false, yes, no, 1, 0",
  instant: "a time such as 2011-05-02T08:26:00Z",
};

/**
 * A value as another type. Null and empty text become null.
 *
 * @returns the value, or what it would have had to be
 */
export function cast(value: unknown, to: CastType): { value: unknown } | { expected: string } {
  if (value === null || value === "") return { value: null };
  const result = converted(value, to);
  return result === undefined ? { expected: EXPECTED[to] } : { value: result };
}

function converted(value: unknown, to: CastType): string | number | boolean | undefined {
  switch (to) {
    case "string":
      return ["string", "number", "boolean"].includes(typeof value) ? String(value) : undefined;
    case "integer": {
      const number = typeof value === "string" && INTEGER.test(value.trim()) ? Number(value) : value;
      return Number.isSafeInteger(number) ? Number(number) : undefined;
    }
    case "number": {
      const number = typeof value === "string" && DECIMAL.test(value.trim()) ? Number(value) : value;
      return typeof number === "number" && Number.isFinite(number) ? number : undefined;
    }
    case "boolean":
      if (typeof value === "boolean") return value;
      return typeof value === "string" || typeof value === "number"
        ? BOOLEANS.get(String(value).trim().toLowerCase())
        : undefined;
    case "instant":
      return parseTime(value);
  }
}
