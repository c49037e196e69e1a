import { assertEquals } from "@std/assert";
import { ceilToTick, defaultHopMs, windowStart } from "./time_grid.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

Deno.test("ceilToTick() begins weeks on Mondays and days at midnight, before 1970 as well", () => {
  const next = (time: string, step: number) => new Date(ceilToTick(Date.parse(time), step)).toISOString();
  assertEquals(next("2011-05-04T08:26:00.000Z", 7 * DAY), "2011-05-09T00:00:00.000Z");
  assertEquals(next("2011-05-04T08:26:00.000Z", DAY), "2011-05-05T00:00:00.000Z");
  assertEquals(next("1969-12-31T23:00:00.000Z", 7 * DAY), "1970-01-05T00:00:00.000Z");
  assertEquals(next("2011-05-02T00:00:00.000Z", 7 * DAY), "2011-05-02T00:00:00.000Z");
});

Deno.test("defaultHopMs() is the largest clean unit within a sixtieth of the window", () => {
  const hops = [10_000, MINUTE, HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY, 1_000 * DAY];
  assertEquals(
    hops.map(defaultHopMs),
    [1_000, 1_000, MINUTE, 15 * MINUTE, 2 * HOUR, 12 * HOUR, DAY, DAY, 7 * DAY],
  );
});

Deno.test("windowStart() has no beginning for a lifetime", () => {
  assertEquals(windowStart(0, null), -Infinity);
  assertEquals(windowStart(10 * DAY + 5, { lengthMs: 2 * DAY, hopMs: DAY }), 8 * DAY);
});
