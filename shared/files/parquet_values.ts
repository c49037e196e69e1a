/**
 * Values of Parquet as JSON has them, exactly: what JSON's numbers cannot hold becomes text.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { FileMetaData, ParquetParsers, SchemaTree } from "hyparquet";

/** Stands for a value that cannot be read. Its row is refused, its neighbours are not. */
export class UnreadableValue {
  constructor(readonly reason: string) {}
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The last millisecond of JavaScript's calendar; the first is as far before 1970. */
const LAST_MS = 8.64e15;

const instantOf = (ms: number) =>
  Math.abs(ms) <= LAST_MS
    ? new Date(ms).toISOString()
    : new UnreadableValue("holds a time that is beyond the calendar");

const textOf = (bytes: Uint8Array | undefined) => {
  if (bytes === undefined) return undefined;
  try {
    return utf8.decode(bytes);
  } catch {
    return new UnreadableValue("holds text that is no UTF-8");
  }
};

/** For the library: times become instants as JSON has them, in milliseconds. */
export const PARSERS: Partial<ParquetParsers> = {
  timestampFromMilliseconds: (millis) => instantOf(Number(millis)),
  timestampFromMicroseconds: (micros) => instantOf(Math.floor(Number(micros) / 1_000)),
  timestampFromNanoseconds: (nanos) => instantOf(Math.floor(Number(nanos / 1_000n) / 1_000)),
  dateFromDays: (days) => instantOf(days * 86_400_000),
  stringFromBytes: textOf,
  jsonFromBytes(bytes) {
    const text = textOf(bytes);
    if (typeof text !== "string") return text;
    try {
      return JSON.parse(text);
    } catch {
      return new UnreadableValue("holds a text that is no JSON");
    }
  },
};

/** The digits behind the point of each decimal column, by its element of the schema. */
export type DecimalScales = ReadonlyMap<object, number>;

/**
 * Prepares the schema: the library would make floating-point numbers of decimals, so it is told nothing of them and
 * leaves them as the integers they are stored as; and it knows no enumerations, which are texts.
 */
export function takeDecimals({ schema }: FileMetaData): DecimalScales {
  const scales = new Map<object, number>();
  for (const element of schema) {
    const { converted_type, logical_type } = element;
    if (converted_type === "DECIMAL" || logical_type?.type === "DECIMAL") {
      scales.set(element, element.scale ?? (logical_type?.type === "DECIMAL" ? logical_type.scale : 0));
      delete element.converted_type;
      delete element.logical_type;
    } else if (converted_type === "ENUM" || logical_type?.type === "ENUM") {
      element.converted_type = "UTF8";
    }
  }
  return scales;
}

/**
 * A value as JSON has it. Integers beyond 2^53, decimals and infinities become text; bytes become base64; NaN is null.
 *
 * @throws {UnreadableValue} where a part of it cannot be read
 */
export function jsonOf(value: unknown, column: SchemaTree | undefined, scales: DecimalScales): unknown {
  if (value === null || value === undefined) return null;
  if (value instanceof UnreadableValue) throw value;
  const scale = column && scales.get(column.element);
  if (scale !== undefined && !Array.isArray(value)) return decimalText(value, scale);
  switch (typeof value) {
    case "number":
      return Number.isNaN(value) ? null : Number.isFinite(value) ? value : String(value);
    case "bigint":
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    case "object":
      break;
    default:
      return value;
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) {
    const item = itemOf(column);
    return value.map((part) => jsonOf(part, item, scales));
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, jsonOf(part, fieldOf(column, name), scales)]),
  );
}

/** Within a list in the standard form there are two levels: the repeated group, and the item in it. */
function itemOf(column: SchemaTree | undefined): SchemaTree | undefined {
  const [repeated] = column?.children ?? [];
  if (repeated === undefined) return column;
  return repeated.children.length === 1 ? repeated.children[0] : repeated;
}

/** A field of a struct by its name; of a map, whatever the key, its values. */
function fieldOf(column: SchemaTree | undefined, name: string): SchemaTree | undefined {
  const field = column?.children.find(({ element }) => element.name === name);
  return field ?? column?.children[0]?.children[1];
}

function decimalText(value: unknown, scale: number): string {
  const unscaled = value instanceof Uint8Array ? integerOf(value) : BigInt(value as number | bigint);
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  const sign = unscaled < 0n ? "-" : "";
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** Two's complement, the highest byte first. */
function integerOf(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${Buffer.from(bytes).toString("hex")}`));
}
