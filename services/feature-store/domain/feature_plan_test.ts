import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { FeatureStatus, FeatureValue, ViewBody } from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import { type FeaturePlan, planFeatures } from "./feature_plan.ts";
import { cellsOf, type KeyedRecord, mergeStored, planBuckets, summarizeRecords } from "./bucket_updates.ts";
import type { Bucket, Buckets } from "./buckets.ts";
import {
  assertMeaning,
  byTimeAndId,
  DAY,
  everyFeature,
  exactly,
  HOUR,
  recordsArbitrary,
  START,
} from "../testing/reference.ts";
import { createHistory, type EntityRecord } from "./history.ts";

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

Deno.test("planFeatures() gives what the definition says, to training sets and online reads alike", () => {
  const features = everyFeature();
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
        assertMeaning({ name, feature, value }, records, at);
        assertEquals(offline.statuses[index], value === null ? "NULL" : "PRESENT", name);
      });
    }),
    { numRuns: 150 },
  );
});

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
