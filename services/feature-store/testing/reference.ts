/**
 * What features mean, written from the definition alone: everything is computed anew from unordered records, in exact
 * arithmetic, and nothing of the service is used for it.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  type Feature,
  featureSchema,
  type FeatureValue,
  type ViewBody,
} from "shared/contracts/feature_store.ts";
import type { EntityRecord } from "../domain/history.ts";

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const START = Date.parse("2011-03-01T00:00:00.000Z");

export const byTimeAndId = (a: EntityRecord, b: EntityRecord) =>
  a.time - b.time || (a.id < b.id ? -1 : a.id > b.id ? 1 : a.definition - b.definition);

/** The value of one feature, from the definition alone: everything is computed anew from unordered records. */
function reference(
  feature: Exclude<Feature, { expression: string }>,
  records: readonly EntityRecord[],
  at: number,
  options: { hop: number; filter: (data: EntityRecord["data"]) => boolean },
): FeatureValue {
  const known = records.filter((record) => record.knownAt <= at);
  const versions = Map.groupBy(known, (record) => `${record.time} ${record.id}`);
  const newest = [...versions.values()].map((same) =>
    same.reduce((best, one) => one.definition > best.definition ? one : best)
  );
  const length = feature.window === null ? null : Number(/^PT?(\d+)/.exec(feature.window)![1]) *
    (feature.window.startsWith("PT") ? HOUR : DAY);
  const monday = Date.parse("1970-01-05T00:00:00.000Z");
  let start = -Infinity;
  if (length !== null) {
    const steps = BigInt(at - length - monday);
    const hop = BigInt(options.hop);
    start = Number(steps - ((steps % hop) + hop) % hop) + monday;
  }
  const inside = newest
    .filter((record) => !record.retracted)
    .filter((record) => record.time > start && record.time <= at && options.filter(record.data))
    .sort(byTimeAndId);
  const field = "field" in feature ? feature.field : "";
  const numbers = inside.map((record) => record.data[field])
    .filter((value) => typeof value === "number" || typeof value === "boolean").map(Number);
  const values = inside.map((record) => record.data[field] as FeatureValue).filter((value) => value !== null);
  const mean = exactly(numbers) / numbers.length;
  switch (feature.aggregate) {
    case "count":
      return inside.length;
    case "sum":
      return exactly(numbers);
    case "mean":
      return numbers.length === 0 ? null : mean;
    case "min":
      return numbers.length === 0 ? null : Math.min(...numbers);
    case "max":
      return numbers.length === 0 ? null : Math.max(...numbers);
    case "deviation":
      return numbers.length < 2
        ? null
        : Math.sqrt(exactly(numbers.map((value) => (value - mean) ** 2)) / (numbers.length - 1));
    case "rate":
      return inside.length / (length! / DAY);
    case "distinct_count":
      return new Set(values).size;
    case "most_frequent": {
      const counts = [...Map.groupBy(values, (value) => value)].map(([value, { length }]) => ({
        value,
        length,
      }));
      const most = Math.max(...counts.map(({ length }) => length));
      const texts = counts.filter(({ length }) => length === most).map(({ value }) => JSON.stringify(value));
      return texts.length === 0 ? null : JSON.parse(texts.sort()[0]!);
    }
    case "first":
      return (inside[0]?.data[field] ?? null) as FeatureValue;
    case "last":
      return (inside.at(-1)?.data[field] ?? null) as FeatureValue;
    case "since_last":
      return inside.length === 0 ? null : (at - inside.at(-1)!.time) / DAY;
    case "since_first":
      return inside.length === 0 ? null : (at - inside[0]!.time) / DAY;
  }
}

/** The sum in integers: of ten-thousandths for decimals of so few places, and of 2^-200 for other doubles; rounded once. */
export function exactly(values: readonly number[]): number {
  const isDecimal = (value: number) => /^-?\d{1,11}(\.\d{1,4})?$/.test(String(value));
  const decimals = values.filter(isDecimal).reduce((sum, value) => {
    const [, sign, whole, places = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(value))!;
    return sum + BigInt(`${sign}${whole}${places.padEnd(4, "0")}`);
  }, 0n);
  if (values.every(isDecimal)) return Number(decimals) / 10_000;
  const SCALE = 200;
  const others = values.filter((value) => !isDecimal(value)).reduce((sum, value) => {
    const bits = new DataView(new ArrayBuffer(8));
    bits.setFloat64(0, value);
    const raw = bits.getBigUint64(0);
    const exponent = Number((raw >> 52n) & 0x7ffn);
    if (exponent === 0) return sum;
    const mantissa = (raw & 0xfffffffffffffn) | 0x10000000000000n;
    const scaled = mantissa << BigInt(exponent - 1075 + SCALE);
    return raw >> 63n === 1n ? sum - scaled : sum + scaled;
  }, 0n);
  return Number(others + (decimals << BigInt(SCALE)) / 10_000n) / 2 ** SCALE;
}

export const AGGREGATES = [
  "count",
  "rate",
  "sum",
  "mean",
  "min",
  "max",
  "deviation",
  "distinct_count",
  "most_frequent",
  "first",
  "last",
  "since_last",
  "since_first",
] as const;
/** Windows with their default hops: window / 60 down to a clean unit. */
const WINDOWS: readonly [string | null, number][] = [
  ["PT6H", 5 * 60_000],
  ["P1D", 15 * 60_000],
  ["P7D", 2 * HOUR],
  ["P30D", 12 * HOUR],
  [null, 1],
];

const cents = fc.integer({ min: -1_000_000, max: 1_000_000 }).map((cents) => cents / 100);
const amount = (anyDouble: boolean) =>
  fc.oneof(
    cents,
    anyDouble ? fc.double({ min: 1e-6, max: 1e12, noNaN: true }) : cents,
    fc.constantFrom(null, true, 0),
  );
export const recordsArbitrary = fc.boolean().chain((anyDouble) =>
  fc.array(
    fc.record({
      time: fc.integer({ min: START, max: START + 40 * DAY }).map((time) => time - time % 60_000),
      late: fc.constantFrom(0, 0, 0, 1_000, HOUR, 3 * DAY),
      event: fc.integer({ min: 0, max: 60 }),
      definition: fc.integer({ min: 1, max: 3 }),
      amount: amount(anyDouble),
      kind: fc.constantFrom("a", "b", "c", null),
    }),
    { maxLength: 60 },
  )
).map((drafts) => {
  const made = new Map<string, EntityRecord>();
  for (const { time, late, event, definition, amount, kind } of drafts) {
    // Versions of one event have its id and its time.
    const first = [...made.values()].find((record) => record.id === `e${event}`);
    made.set(`${event}/${definition}`, {
      time: first?.time ?? time,
      knownAt: (first?.time ?? time) + late,
      id: `e${event}`,
      definition,
      data: { amount, kind },
    });
  }
  return [...made.values()];
});

/** Every aggregate over every window, with and without a filter. */
export function everyFeature(): ViewBody["features"] {
  const features: ViewBody["features"] = {};
  for (const aggregate of AGGREGATES) {
    WINDOWS.forEach(([window], index) => {
      if (aggregate === "rate" && window === null) return;
      const numeric = ["sum", "mean", "min", "max", "deviation"].includes(aggregate);
      const field = ["count", "rate", "since_last", "since_first"].includes(aggregate)
        ? {}
        : { field: numeric ? "amount" : "kind" };
      const feature = featureSchema.parse({ aggregate, window, ...field });
      features[`${aggregate}_${index}`] = feature;
      features[`${aggregate}_${index}_filtered`] = { ...feature, where: 'e.kind != "a"' } as Feature;
      // A second field of the same record.
      if (aggregate === "first" || aggregate === "last") {
        features[`${aggregate}_${index}_amount`] = { ...feature, field: "amount" } as Feature;
      }
    });
  }
  return features;
}

/** @param given one of {@link everyFeature}, with the value that was computed */
export function assertMeaning(
  given: { name: string; feature: Feature; value: FeatureValue },
  records: readonly EntityRecord[],
  at: number,
): void {
  const { name, feature, value } = given;
  const hop = WINDOWS[Number(/_(\d)/.exec(name)![1])]![1];
  const filter = (data: EntityRecord["data"]) => !name.endsWith("filtered") || data["kind"] !== "a";
  const options = { hop, filter };
  const expected = reference(feature as Exclude<Feature, { expression: string }>, records, at, options);
  if (name.startsWith("deviation")) assertClose(value, expected, name);
  else assertEquals(value, expected, name);
}

/** Equal to 1e-12 of the larger; deviations near nothing are compared with the size of what deviates. */
function assertClose(value: FeatureValue, expected: FeatureValue, name: string): void {
  if (value === null || expected === null) return assertEquals(value, expected, name);
  const [a, b] = [Number(value), Number(expected)];
  assert(Math.abs(a - b) <= 1e-12 * Math.max(Math.abs(a), Math.abs(b), 1), `${name}: ${a} is not ${b}`);
}
