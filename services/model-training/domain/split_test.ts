import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { AppError } from "shared/errors.ts";
import { splitByTime } from "./split.ts";

const DAY = 86_400_000;
const days = (...numbers: number[]) => Float64Array.from(numbers, (day) => day * DAY);

Deno.test("splitByTime() leaves a gap of the label's horizon before the test part", () => {
  const split = splitByTime(days(5, 0, 10, 20, 15, 25), { horizonMs: 5 * DAY, testMs: 8 * DAY });
  assertEquals([...split.test], [3, 5]);
  // The label of day 15 was settled on day 20, where the test part begins: it belongs to the training part.
  assertEquals([...split.train], [0, 1, 2, 4]);
  assertEquals(split.dropped, 0);
  const longer = splitByTime(days(5, 0, 10, 20, 15, 25), { horizonMs: 6 * DAY, testMs: 8 * DAY });
  assertEquals([...longer.train], [0, 1, 2]);
  assertEquals(longer.dropped, 1);
  assertEquals([longer.trainUntil, longer.testFrom, longer.testUntil], [10 * DAY, 20 * DAY, 25 * DAY]);
});

Deno.test("splitByTime() cuts the validation part off the training part with a gap of its own", () => {
  const times = days(...Array.from({ length: 30 }, (_, day) => day));
  const split = splitByTime(times, { horizonMs: 3 * DAY, testMs: 5 * DAY, validationMs: 4 * DAY });
  assertEquals([...split.test], [25, 26, 27, 28, 29]);
  assertEquals([...split.validation], [19, 20, 21, 22]);
  assertEquals(split.train.at(-1), 16);
  assertEquals(split.dropped, 4);
});

Deno.test("splitByTime() refuses when no label was settled before the test part", () => {
  const error = assertThrows(
    () => splitByTime(days(0, 1, 2, 3), { horizonMs: 30 * DAY, testMs: DAY }),
    AppError,
  );
  assertEquals(
    error.message,
    "Cannot split the rows by time: the training part is empty, no label of 30 days was settled by " +
      "1970-01-04T00:00:00.000Z, where the next part begins",
  );
  assertThrows(() => splitByTime(days(), { horizonMs: DAY, testMs: DAY }), AppError, "there are none");
});

Deno.test("splitByTime() lets no label window cross a border", () => {
  const options = fc.record({
    horizonMs: fc.nat(40),
    testMs: fc.integer({ min: 1, max: 60 }),
    validationMs: fc.nat(30),
  });
  fc.assert(fc.property(fc.array(fc.nat(100), { minLength: 2, maxLength: 60 }), options, (list, given) => {
    const times = Float64Array.from(list);
    let split;
    try {
      split = splitByTime(times, given);
    } catch (error) {
      assert(error instanceof AppError);
      return;
    }
    const { train, validation, test, dropped } = split;
    const timesOf = (rows: Int32Array) => [...rows].map((row) => times[row]!);
    const testBegin = Math.min(...timesOf(test));
    const validationBegin = Math.min(testBegin, ...timesOf(validation));
    assert(timesOf(train).every((time) => time + given.horizonMs <= validationBegin));
    assert(timesOf(validation).every((time) => time + given.horizonMs <= testBegin));
    const parts = [...train, ...validation, ...test];
    assertEquals(new Set(parts).size, parts.length);
    assertEquals(parts.length + dropped, times.length);
    assert(train.length > 0 && test.length > 0);
  }));
});
