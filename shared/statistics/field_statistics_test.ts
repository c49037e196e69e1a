import { assert, assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { createFieldStatistics, decodeFieldStatistics, type FieldStatistics } from "./field_statistics.ts";

const statisticsOf = (values: readonly unknown[]) => {
  const statistics = createFieldStatistics();
  for (const value of values) statistics.add(value);
  return statistics;
};
const summaryOf = (statistics: FieldStatistics) => statistics.summary({ field: "f" });
const merged = (...parts: readonly FieldStatistics[]) => {
  const whole = createFieldStatistics();
  for (const part of parts) whole.merge(part);
  return whole;
};

const number = fc.oneof(
  fc.integer({ min: -1_000_000, max: 1_000_000 }),
  fc.double({ noNaN: true, min: -1e9, max: 1e9 }),
);
const instant = fc.date({
  min: new Date("1990-01-01"),
  max: new Date("2040-01-01"),
  noInvalidDate: true,
}).map((date) => date.toISOString());
const value = fc.oneof(
  { weight: 4, arbitrary: number },
  { weight: 4, arbitrary: fc.string() },
  instant,
  fc.boolean(),
  fc.constantFrom(null, [1], {}),
);

/** Equal but for the rounding of sums. */
function assertSame(actual: FieldStatistics, expected: FieldStatistics) {
  const rounded = (summary: unknown) =>
    JSON.parse(JSON.stringify(summary, (key, value) => {
      return ["mean", "deviation"].includes(key) ? Number(value.toPrecision(9)) : value;
    }));
  assertEquals(rounded(summaryOf(actual)), rounded(summaryOf(expected)));
}

Deno.test("summary() counts types, nulls, extremes, lengths and few distinct values exactly", () => {
  fc.assert(fc.property(fc.array(value, { maxLength: 60 }), (values) => {
    const summary = summaryOf(statisticsOf(values));
    const numbers = values.filter((one) => typeof one === "number");
    const texts = values.filter((one) => typeof one === "string");
    assertEquals(summary.nulls, values.filter((one) => one === null).length);
    assertEquals(summary.types["string"] ?? 0, texts.length);
    assertEquals(summary.types["number"] ?? 0, numbers.length);
    const scalars = values.filter((one) => typeof one !== "object").map((one) => one === 0 ? 0 : one);
    assertEquals(summary.distinct, new Set(scalars).size);
    if (numbers.length > 0) {
      assertEquals(summary.numbers?.count, numbers.length);
      assertEquals(summary.numbers?.min, Math.min(...numbers));
      assertEquals(summary.numbers?.max, Math.max(...numbers));
    }
    assertEquals(
      summary.lengths?.max,
      texts.length === 0 ? undefined : Math.max(...texts.map((t) => t.length)),
    );
    for (const { value, count } of summary.top) {
      assertEquals(count, scalars.filter((one) => String(one) === value).length);
    }
  }));
});

Deno.test("summary() agrees with the naive mean and deviation", () => {
  fc.assert(fc.property(fc.array(number, { minLength: 2, maxLength: 200 }), (values) => {
    const { numbers } = summaryOf(statisticsOf(values));
    const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
    const squares = values.reduce((sum, one) => sum + (one - mean) ** 2, 0);
    const scale = Math.max(...values.map(Math.abs), 1);
    assert(Math.abs(numbers!.mean - mean) <= 1e-12 * scale);
    assert(Math.abs(numbers!.deviation - Math.sqrt(squares / (values.length - 1))) <= 1e-9 * scale);
  }));
});

Deno.test("summary() gives quantiles within 1% of the value at their rank", () => {
  fc.assert(fc.property(fc.array(number, { minLength: 1, maxLength: 500 }), (values) => {
    const { quantiles } = summaryOf(statisticsOf(values)).numbers!;
    const sorted = values.toSorted((a, b) => a - b);
    for (const [q, name] of [[0.01, "p01"], [0.25, "p25"], [0.5, "p50"], [0.99, "p99"]] as const) {
      const exact = sorted[Math.floor(q * (sorted.length - 1))]!;
      assert(Math.abs(quantiles[name] - exact) <= 0.0101 * Math.abs(exact) + 1e-12, `${name}: ${exact}`);
    }
  }));
});

Deno.test("summary() places instants within half a percent of the span they fill", () => {
  fc.assert(
    fc.property(fc.array(instant, { minLength: 1, maxLength: 2_000, size: "max" }), (values) => {
      const { quantiles, min, max } = summaryOf(statisticsOf(values)).numbers!;
      const sorted = values.map((text) => Date.parse(text)).sort((a, b) => a - b);
      const exact = sorted[Math.floor(0.5 * (sorted.length - 1))]!;
      assert(Math.abs(quantiles.p50 - exact) <= (max - min) / 200 + 1_000);
    }),
    { numRuns: 20 },
  );
});

Deno.test("summary() takes only the platform's own form of instants for times", () => {
  assertEquals(summaryOf(statisticsOf(["2011-05-02T08:26:00.000Z"])).numbers?.min, 1_304_324_760_000);
  for (
    const text of [
      "2011-05-02",
      "2011-13-02T08:26:00.000Z",
      "2011-05-02T08:26:0x.000Z",
      "2011-05-02T08:26:00.000+",
    ]
  ) assertEquals(summaryOf(statisticsOf([text])).numbers, null, text);
});

Deno.test("merge() in any order and grouping gives the statistics of the whole", () => {
  const lists = fc.array(fc.array(value, { maxLength: 40 }), { minLength: 3, maxLength: 3 });
  fc.assert(fc.property(lists, ([a = [], b = [], c = []]) => {
    const whole = statisticsOf([...a, ...b, ...c]);
    const [x, y, z] = [statisticsOf(a), statisticsOf(b), statisticsOf(c)];
    assertSame(merged(x, y, z), whole);
    assertSame(merged(z, merged(y, x)), whole);
    assertSame(merged(merged(x, z), y), whole);
    assertEquals(summaryOf(x), summaryOf(statisticsOf(a)));
  }));
});

Deno.test("merge() keeps the sketches of many values associative and commutative", () => {
  const spread = Array.from({ length: 30_000 }, (_, i) => Math.exp((i % 1_000) / 10 - 20) * (i % 3 - 1));
  const texts = spread.map((_, i) => `text ${i}`);
  const times = spread.map((_, i) => new Date(i * 3_600_000).toISOString());
  for (const values of [spread, texts, times]) {
    const parts = [values.slice(0, 10_000), values.slice(10_000, 17_000), values.slice(17_000)]
      .map(statisticsOf);
    const [a, b, c] = [parts[0]!, parts[1]!, parts[2]!];
    const whole = statisticsOf(values);
    const orders = [merged(a, b, c), merged(c, merged(b, a)), merged(merged(c, a), b)];
    for (const one of orders) {
      const { top: _, ...summary } = summaryOf(one);
      const { top: __, ...expected } = summaryOf(whole);
      assertEquals(summary.distinct, expected.distinct);
      assertEquals(summary.numbers?.quantiles, expected.numbers?.quantiles);
    }
  }
});

Deno.test("summary() estimates distinct values within 5%, three standard errors", () => {
  for (const different of [100, 256, 257, 1_000, 20_000, 200_000]) {
    const statistics = createFieldStatistics();
    for (let i = 0; i < different; i++) {
      statistics.add(`user-${i}`);
      if (i % 3 === 0) statistics.add(`user-${i}`);
    }
    const { distinct } = summaryOf(statistics);
    const allowed = different <= 256 ? 0 : 0.05 * different;
    assert(Math.abs(distinct - different) <= allowed, `${distinct} instead of ${different}`);
  }
});

Deno.test("summary() gives frequent values lower bounds, and misses none above a 65th", () => {
  const values = Array.from(
    { length: 20_000 },
    (_, i) => i % 4 === 0 ? "often" : i % 20 === 1 ? 7 : `rare ${i}`,
  );
  const one = merged(statisticsOf(values.slice(0, 9_000)), statisticsOf(values.slice(9_000)));
  for (const statistics of [statisticsOf(values), one, decodeFieldStatistics(one.encode())]) {
    const { top } = summaryOf(statistics);
    const often = top.find(({ value }) => value === "often")!.count;
    const seven = top.find(({ value }) => value === "7")!.count;
    assert(often <= 5_000 && often >= 5_000 - 20_000 / 65, `${often}`);
    assert(seven <= 1_000 && seven >= 1_000 - 20_000 / 65, `${seven}`);
    assert(top.every(({ value }) => !value.startsWith("rare")));
  }
});

Deno.test("summary() survives what JSON can bring", () => {
  const statistics = statisticsOf([
    1.7e308,
    -1.7e308,
    5e-324,
    Infinity,
    "\ud800",
    "x".repeat(100_000),
    -0,
    0,
  ]);
  const summary = summaryOf(decodeFieldStatistics(statistics.encode()));
  assertEquals(JSON.parse(JSON.stringify(summary)), summary);
  assertEquals(summary.types, { string: 2, number: 6 });
  assertEquals(summary.top[0], { value: "0", count: 2 });
});

Deno.test("decodeFieldStatistics() gives back what encode() was told", () => {
  fc.assert(fc.property(fc.array(value, { maxLength: 60 }), fc.array(value, { maxLength: 20 }), (a, b) => {
    const before = statisticsOf(a);
    const after = decodeFieldStatistics(before.encode());
    assertEquals(summaryOf(after), summaryOf(before));
    for (const one of b) {
      before.add(one);
      after.add(one);
    }
    assertEquals(summaryOf(after), summaryOf(before));
  }));
});

Deno.test("encode() takes little for a few values, and a bounded number of bytes for many", () => {
  assert(statisticsOf([1, 2, 3]).encode().length < 160);
  const many = createFieldStatistics();
  for (let i = 0; i < 100_000; i++) many.add(i % 2 ? `text ${i}` : i * 1.1);
  assert(many.encode().length < 12_000);
});

Deno.test("decodeFieldStatistics() refuses bytes of another version, or that end too early", () => {
  const bytes = statisticsOf([1, "a"]).encode();
  const error = assertThrows(() => decodeFieldStatistics(new Uint8Array([9, ...bytes.slice(1)])), RangeError);
  assertEquals(error.message, "Cannot read statistics: they are of version 9, and 1 is known here");
  for (let length = 0; length < bytes.length; length++) {
    assertThrows(() => decodeFieldStatistics(bytes.slice(0, length)), RangeError);
  }
});

Deno.test("histogram() counts numbers into bars of equal width", () => {
  const statistics = statisticsOf(Array.from({ length: 1_000 }, (_, i) => i / 100));
  const bars = statistics.histogram({ from: 0, to: 10, bars: 5 });
  assertEquals(bars.reduce((sum, count) => sum + count, 0), 1_000);
  for (const count of bars) assert(Math.abs(count - 200) <= 20, `${bars}`);
  assertEquals(statistics.histogram({ from: 20, to: 30, bars: 2 }), [0, 0]);
  assertEquals(statisticsOf([4, 4]).histogram({ from: 4, to: 4, bars: 2 }), [2, 0]);
});
