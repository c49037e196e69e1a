import { assertEquals, assertThrows } from "@std/assert";
import { durationSchema, durationToMs, parseTime } from "./time.ts";

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
