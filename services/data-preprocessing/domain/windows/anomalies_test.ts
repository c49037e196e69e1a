import { assertEquals } from "@std/assert";
import { profileSettingsSchema } from "shared/contracts/cleaning.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";
import { createRecordStatistics } from "shared/statistics/record_statistics.ts";
import { compareWindows } from "./anomalies.ts";
import type { WindowFacts } from "./rules.ts";

const SETTINGS = profileSettingsSchema.parse({ minRows: 10 });

function windowOf(count: number, recordOf: (n: number) => DataRecord): WindowFacts {
  const statistics = createRecordStatistics();
  for (let n = 0; n < count; n++) statistics.add(recordOf(n));
  return { records: count, fields: statistics.summary() };
}

const kinds = (now: WindowFacts, before: WindowFacts) =>
  compareWindows(now, before, SETTINGS).map(({ field, kind }) => `${field} ${kind}`);

Deno.test("compareWindows() finds nothing where nothing but chance differs", () => {
  const record = (n: number) => ({
    price: n % 7,
    country: n % 2 ? "EIRE" : null,
    at: "2011-01-01T00:00:00.000Z",
  });
  assertEquals(kinds(windowOf(100, record), windowOf(140, record)), []);
});

Deno.test("compareWindows() finds fields that came, went, changed their type or became null", () => {
  const before = windowOf(20, () => ({ a: 1, b: "x", c: 1, d: null }));
  const now = windowOf(20, (n) => ({ b: n ? "x" : 1, c: n < 10 ? 1 : null, d: true }));
  assertEquals(compareWindows(now, before, SETTINGS), [
    { field: "a", kind: "vanished", message: "has no value, after 20 in the window before" },
    { field: "b", kind: "type", message: "has 1 values of type number, after string only" },
    { field: "c", kind: "nulls", message: "is null in 50.0% of the records, after 0.0%" },
    { field: "d", kind: "appeared", message: "has 20 values, after none in the window before" },
  ]);
});

Deno.test("compareWindows() measures the shift of a mean in deviations of the window before", () => {
  const around = (center: number) => windowOf(40, (n) => ({ x: center + n % 2 * 2 - 1 }));
  assertEquals(kinds(around(10.9), around(10)), []);
  assertEquals(kinds(around(11.1), around(10)), ["x mean"]);
  assertEquals(kinds(around(8.9), around(10)), ["x mean"]);
  const constant = (x: number) => windowOf(40, () => ({ x }));
  assertEquals(kinds(constant(5), constant(5)), []);
  assertEquals(kinds(constant(5.001), constant(5)), ["x mean"]);
});

Deno.test("compareWindows() takes no offence at times that go on and numbers that count up", () => {
  const window = (day: number) =>
    windowOf(50, (n) => ({
      at: new Date(Date.UTC(2011, 0, day, 0, n)).toISOString(),
      order: 1_000 * day + n,
      reading: 1_000 * day + n / 7 + 0.1,
    }));
  assertEquals(kinds(window(2), window(1)), ["reading mean"]);
});

Deno.test("compareWindows() finds volumes beyond the factor, either way, among enough records", () => {
  const of = (count: number) => windowOf(count, () => ({}));
  assertEquals(kinds(of(50), of(10)), []);
  assertEquals(kinds(of(51), of(10)), [" volume"]);
  assertEquals(kinds(of(10), of(51)), [" volume"]);
  assertEquals(kinds(of(9), of(1_000)), []);
  assertEquals(kinds(of(1_000), of(9)), []);
});
