import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type Feature,
  featureSchema,
  type FeatureStatus,
  type FeatureValue,
  type ViewBody,
} from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import { type FeaturePlan, planFeatures } from "./feature_plan.ts";
import { cellsOf, type KeyedRecord, mergeStored, planBuckets, summarizeRecords } from "./bucket_updates.ts";
import type { Bucket, Buckets } from "./buckets.ts";
import { createHistory, type EntityRecord } from "./history.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.parse("2011-03-01T00:00:00.000Z");

const view = (features: ViewBody["features"], more: Partial<ViewBody> = {}): ViewBody => ({
  entity: "customer",
  source: "invoice_lines",
  ttl: null,
  features,
  owner: "",
  description: "",
  tags: [],
  request: {},
  ...more,
});

function planOf(body: ViewBody, features = Object.keys(body.features)): FeaturePlan {
  return planFeatures(
    features.map((feature) => `orders.${feature}`),
    (name) => ({ name, version: 1, project: "shop", body }),
  );
}

const byTimeAndId = (a: EntityRecord, b: EntityRecord) =>
  a.time - b.time || (a.id < b.id ? -1 : a.id > b.id ? 1 : a.definition - b.definition);

/** As a training set reads: the whole history. */
function valuesFromAll(plan: FeaturePlan, records: readonly EntityRecord[], at: number) {
  const history = createHistory(plan.layouts.get("invoice_lines")!, records.toSorted(byTimeAndId));
  return plan.evaluate(() => ({ history }), { atMs: at });
}

/** As an online read does: what was known by T, as far back as the views look, and the newest record before. */
function valuesFromReach(plan: FeaturePlan, records: readonly EntityRecord[], at: number) {
  const after = Math.min(...plan.views.map((view) => view.reachesBack(at)));
  const seen = records.filter((record) => record.time <= at && record.knownAt <= at);
  const older = seen.filter((record) => record.time <= after).map((record) => record.time);
  const history = createHistory(
    plan.layouts.get("invoice_lines")!,
    seen.filter((record) => record.time > after).sort(byTimeAndId),
    { newestBefore: older.length === 0 ? undefined : Math.max(...older) },
  );
  return plan.evaluate(() => ({ history }), { atMs: at });
}

/** As an online read does: from buckets, and from records only where it asks for them. */
function valuesFromBuckets(
  plan: FeaturePlan,
  { records, buckets, at }: { records: readonly EntityRecord[]; buckets: Buckets; at: number },
) {
  const [view] = plan.views;
  const after = view!.recordsAfter(buckets, { atMs: at, knownByMs: at });
  const seen = records.filter((record) => record.time <= at && record.knownAt <= at);
  const counted = after === undefined ? [] : seen.filter((record) => record.time > after);
  const history = createHistory(plan.layouts.get("invoice_lines")!, counted.sort(byTimeAndId), {
    newestBefore: newestOf(seen.filter((record) => !counted.includes(record))),
  });
  return plan.evaluate(() => ({ history, buckets }), { atMs: at });
}

function newestOf(records: readonly EntityRecord[]): number | undefined {
  return records.length === 0 ? undefined : Math.max(...records.map(({ time }) => time));
}

/** Buckets as they are stored: made in several goes, each merged into what was there. */
function store(body: ViewBody, goes: readonly (readonly EntityRecord[])[]): Buckets {
  const plan = planBuckets(body);
  const stored = new Map<number, Map<number, Bucket>>();
  for (const records of goes) {
    const keyed: KeyedRecord[] = records.toSorted(byTimeAndId).map((record) => ({ ...record, key: "a" }));
    for (const update of summarizeRecords(plan, keyed)) {
      const level = stored.get(update.sizeMs) ?? new Map<number, Bucket>();
      stored.set(update.sizeMs, level);
      const known = level.get(update.startMs);
      if (known !== undefined) mergeStored(plan, update, known);
      const { startMs, maxTimeMs, maxKnownAtMs } = update;
      const cells = JSON.parse(JSON.stringify(cellsOf(plan, update)));
      level.set(startMs, { startMs, maxTimeMs, maxKnownAtMs, cells });
    }
  }
  return {
    level: (size) => [...stored.get(size)?.values() ?? []].sort((a, b) => a.startMs - b.startMs),
  };
}

let nextId = 1;
const record = (
  time: number,
  data: EntityRecord["data"],
  more: Partial<EntityRecord> = {},
): EntityRecord => ({
  time,
  knownAt: time,
  id: `r${String(nextId++).padStart(6, "0")}`,
  definition: 1,
  data,
  ...more,
});

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
function exactly(values: readonly number[]): number {
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

const AGGREGATES = [
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
const recordsArbitrary = fc.boolean().chain((anyDouble) =>
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

Deno.test("planFeatures() gives what the definition says, to training sets and online reads alike", () => {
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
    });
  }
  const body = view(features);
  const plan = planOf(body);
  const at = fc.integer({ min: START - DAY, max: START + 45 * DAY });
  fc.assert(
    fc.property(recordsArbitrary, at, fc.func(fc.integer()), (records, at, shuffle) => {
      const offline = valuesFromAll(plan, records.toSorted((a, b) => shuffle(a.id) - shuffle(b.id)), at);
      assertEquals(valuesFromReach(plan, records, at), offline);
      // All versions of an event in one go: what comes in several is made anew by the storage.
      const goes = Map.groupBy(records, ({ id }) => shuffle(id) % 3);
      const buckets = store(body, [...goes.values()]);
      assertEquals(valuesFromBuckets(plan, { records, buckets, at }), offline);
      const found = records.some((record) => record.time <= at && record.knownAt <= at);
      Object.entries(features).forEach(([name, feature], index) => {
        const value = offline.values[index]!;
        if (!found) {
          assertEquals([value, offline.statuses[index]], [null, "NOT_FOUND"]);
          return;
        }
        const hop = WINDOWS[Number(/_(\d)/.exec(name)![1])]![1];
        const filter = (data: EntityRecord["data"]) => !name.endsWith("filtered") || data["kind"] !== "a";
        const expected = reference(feature as Exclude<Feature, { expression: string }>, records, at, {
          hop,
          filter,
        });
        if (name.startsWith("deviation")) assertClose(value, expected, name);
        else assertEquals(value, expected, name);
        assertEquals(offline.statuses[index], value === null ? "NULL" : "PRESENT", name);
      });
    }),
    { numRuns: 150 },
  );
});

/** Equal to 1e-12 of the larger; deviations near nothing are compared with the size of what deviates. */
function assertClose(value: FeatureValue, expected: FeatureValue, name: string): void {
  if (value === null || expected === null) return assertEquals(value, expected, name);
  const [a, b] = [Number(value), Number(expected)];
  assert(Math.abs(a - b) <= 1e-12 * Math.max(Math.abs(a), Math.abs(b), 1), `${name}: ${a} is not ${b}`);
}

Deno.test("planFeatures() sees nothing that came after T or became known after T", () => {
  const plan = planOf(view({
    spend: { aggregate: "sum", field: "amount", window: "P30D" },
    orders: { aggregate: "count", window: null },
    last: { aggregate: "last", field: "kind", window: "P7D" },
    since: { aggregate: "since_last", window: null },
  }));
  fc.assert(
    fc.property(recordsArbitrary, recordsArbitrary, fc.nat(40 * DAY), (records, appended, offset) => {
      const at = START + offset;
      const news = appended.map((record) => ({ ...record, id: `n${record.id}` }))
        .filter((record) => record.time > at || record.knownAt > at);
      assertEquals(valuesFromAll(plan, [...records, ...news], at), valuesFromAll(plan, records, at));
    }),
    { numRuns: 200 },
  );
});

Deno.test("planFeatures() counts a late event from when it became known", () => {
  const plan = planOf(view({ orders: { aggregate: "count", window: "P7D" } }));
  const records = [record(START, {}), record(START + HOUR, {}, { knownAt: START + DAY })];
  assertEquals(valuesFromAll(plan, records, START + 2 * HOUR).values, [1]);
  assertEquals(valuesFromAll(plan, records, START + DAY).values, [2]);
});

Deno.test("planFeatures() gives the time of the newest record behind each value", () => {
  const plan = planOf(view({
    paid: { aggregate: "count", window: null, where: "e.amount > 0" },
    all: { aggregate: "count", window: null },
    share: { expression: "f.paid / f.all" },
    recent: { aggregate: "max", field: "amount", window: "PT1H" },
  }));
  const row = valuesFromAll(
    plan,
    [record(START, { amount: 5 }), record(START + DAY, { amount: -1 })],
    START + 2 * DAY,
  );
  assertEquals(row.values, [1, 2, 0.5, null]);
  assertEquals(row.eventTimes, [START, START + DAY, START + DAY, null]);
  assertEquals(row.statuses, ["PRESENT", "PRESENT", "PRESENT", "NULL"]);
});

Deno.test("planFeatures() moves windows in the declared hops", () => {
  const features: ViewBody["features"] = { orders: { aggregate: "count", window: "P1D" } };
  const records = [record(START + 10 * HOUR, {}), record(START + 13 * HOUR, {})];
  const at = START + DAY + 12 * HOUR;
  // (00:00 of the day before, T]: a hop of a day takes the window back to midnight.
  assertEquals(valuesFromAll(planOf(view(features, { hop: "P1D" })), records, at).values, [2]);
  assertEquals(valuesFromAll(planOf(view(features, { hop: "PT1H" })), records, at).values, [1]);
});

Deno.test("planFeatures() excludes the start of a window and includes T", () => {
  const plan = planOf(view({ orders: { aggregate: "count", window: "PT1H" } }, { hop: "PT1H" }));
  const records = [record(START, {}), record(START + HOUR, {})];
  assertEquals(valuesFromAll(plan, records, START + HOUR).values, [1]);
});

Deno.test("planFeatures() gives EXPIRED and null when the newest record is older than the TTL", () => {
  const plan = planOf(view({ orders: { aggregate: "count", window: null } }, { ttl: "P2D" }));
  const statusAt = (at: number): [FeatureValue, FeatureStatus] => {
    const { values, statuses } = valuesFromAll(plan, [record(START, {})], at);
    return [values[0]!, statuses[0]!];
  };
  assertEquals(statusAt(START + 2 * DAY), [1, "PRESENT"]);
  assertEquals(statusAt(START + 2 * DAY + 1), [null, "EXPIRED"]);
  assertEquals(statusAt(START - 1), [null, "NOT_FOUND"]);
});

Deno.test("planFeatures() gives EXPIRED to a reader that did not load the old records", () => {
  const plan = planOf(view({ orders: { aggregate: "count", window: "PT1H" } }, { ttl: "P2D" }));
  const records = [record(START, {})];
  assertEquals(valuesFromReach(plan, records, START + 3 * DAY).statuses, ["EXPIRED"]);
  assertEquals(valuesFromReach(plan, records, START + DAY).values, [0]);
});

Deno.test("planFeatures() computes expressions over features, null where an operand is null", () => {
  const plan = planOf(
    view({
      spend: { aggregate: "sum", field: "amount", window: "P30D" },
      orders: { aggregate: "count", window: "P30D" },
      best: { aggregate: "max", field: "amount", window: "PT1H" },
      mean: { expression: "f.spend / f.orders" },
      doubled: { expression: "f.mean * 2" },
      by_best: { expression: "f.spend / f.best" },
      big: { expression: "f.spend > 10" },
      fallback: { expression: "f.best == null ? -1 : f.best" },
    }),
    ["doubled", "mean", "by_best", "big", "fallback"],
  );
  const records = [record(START, { amount: 4 }), record(START + DAY, { amount: 8 })];
  assertEquals(valuesFromAll(plan, records, START + 2 * DAY).values, [12, 6, null, true, -1]);
  // Long after the window: 0 / 0.
  assertEquals(valuesFromAll(plan, records, START + 200 * DAY).values, [null, null, null, false, -1]);
});

Deno.test("planFeatures() takes a record that a filter can't be computed from as not matching", () => {
  const plan = planOf(view({ orders: { aggregate: "count", window: null, where: "e.amount * 2 > 1" } }));
  const records = [{ amount: 3 }, { amount: "three" }, { amount: null }, {}].map((data) =>
    record(START, data)
  );
  assertEquals(valuesFromAll(plan, records, START).values, [1]);
});

Deno.test("planFeatures() sums in an order that no arrival can change", () => {
  const plan = planOf(view({ spend: { aggregate: "sum", field: "amount", window: null } }));
  const amounts = [0.1, 0.2, 0.3, 1e16, -1e16, 0.7];
  const sums = [amounts, amounts.toReversed(), [1e16, 0.1, 0.2, -1e16, 0.3, 0.7]].map((order) =>
    valuesFromAll(plan, order.map((amount, index) => record(START + index, { amount })), START + DAY)
      .values[0]
  );
  assertEquals(sums, [exactly(amounts), exactly(amounts), exactly(amounts)]);
});

Deno.test("planFeatures() refuses features that go round in a circle, and features that are not there", () => {
  const circle = view({ a: { expression: "f.b + 1" }, b: { expression: "f.c" }, c: { expression: "f.a" } });
  const error = assertThrows(() => planOf(circle), AppError);
  assertEquals(error.code, "invalid");
  assert(
    error.message.includes("depends on itself: orders.a -> orders.b -> orders.c -> orders.a"),
    error.message,
  );

  const missing = assertThrows(() => planOf(view({ a: { expression: "f.b" } })), AppError);
  assert(missing.message.includes("reads orders.b, which is not there"), missing.message);
  assertThrows(
    () => planOf(view({ a: { aggregate: "count", window: null } }), ["z"]),
    AppError,
    "is not there",
  );
});
