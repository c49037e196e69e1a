import fc from "fast-check";
import { assertEquals, assertThrows } from "@std/assert";
import { daysInMonth, durationSchema, durationToMs, parseTime, toInstant } from "./time.ts";

Deno.test("toInstant() writes every time as Date does", () => {
  fc.assert(fc.property(fc.double({ min: -8.64e15, max: 8.64e15, noNaN: true }), (epochMs) => {
    assertEquals(toInstant(epochMs), new Date(epochMs).toISOString());
    // Of the same day, which it remembers.
    const later = Math.min(8.64e15, epochMs + 999.5);
    assertEquals(toInstant(later), new Date(later).toISOString());
  }));
  for (const epochMs of [0, -1, -0.5, 86_399_999, 86_400_000, -62_167_219_200_001]) {
    assertEquals(toInstant(epochMs), new Date(epochMs).toISOString());
  }
  assertThrows(() => toInstant(NaN), RangeError);
  assertThrows(() => toInstant(8.64e15 + 1), RangeError);
});

Deno.test("daysInMonth() knows leap years", () => {
  assertEquals([2000, 2012, 1900, 2011].map((year) => daysInMonth(year, 2)), [29, 29, 28, 28]);
  assertEquals([daysInMonth(2011, 4), daysInMonth(2011, 12), daysInMonth(2011, 13)], [30, 31, 0]);
});

Deno.test("parseTime() reads the forms that people write as UTC instants", () => {
  const forms: [unknown, string][] = [
    ["2010-12-01 08:26:00", "2010-12-01T08:26:00.000Z"],
    ["2019-10-01 00:00:00 UTC", "2019-10-01T00:00:00.000Z"],
    ["2010-12-01", "2010-12-01T00:00:00.000Z"],
    ["2010-12-01T08:26", "2010-12-01T08:26:00.000Z"],
    ["2010-12-01T08:26:00.123456Z", "2010-12-01T08:26:00.123Z"],
    ["2010-12-01T08:26:00+0130", "2010-12-01T06:56:00.000Z"],
    ["2010-12-01T08:26:00-02:00", "2010-12-01T10:26:00.000Z"],
    [1_291_191_960_000, "2010-12-01T08:26:00.000Z"],
  ];
  for (const [value, instant] of forms) assertEquals(parseTime(value), instant, String(value));
});

Deno.test("parseTime() refuses what is no time", () => {
  for (
    const value of [
      "",
      "yesterday",
      "2010-13-01",
      "2010-02-30",
      "2010-02-30T08:26:00.000Z",
      "2010-12-01T25:00:00Z",
      "01/12/2010",
      null,
      {},
      NaN,
      1e300,
    ]
  ) {
    assertEquals(parseTime(value), undefined, String(value));
  }
});

Deno.test("durationToMs() adds weeks, days, hours, minutes and seconds", () => {
  assertEquals(durationToMs("P1W"), 604_800_000);
  assertEquals(durationToMs("P1DT2H3M4.5S"), 86_400_000 + 7_200_000 + 180_000 + 4_500);
});

Deno.test("durationToMs() refuses durations without a fixed length or any length", () => {
  for (const text of ["P1M", "P1Y", "P", "PT", "30d", ""]) {
    assertThrows(() => durationToMs(text), RangeError);
    assertEquals(durationSchema.safeParse(text).success, false, text);
  }
});
