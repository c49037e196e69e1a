import { assertEquals } from "@std/assert";
import { Pacing, type PacingOptions } from "./replay_pacing.ts";

/** When pieces of 10 records, 60 s of event time apart, go, on a clock that stands still but for the waiting. */
function turns(options: PacingOptions, count = 4): number[] {
  const pacing = new Pacing(options);
  let now = 1_000;
  return Array.from(
    { length: count },
    (_, n) => now = pacing.dueMs({ records: 10, lastMs: n * 60_000 }, now),
  );
}

Deno.test("Pacing lets pieces go at once when nothing was asked for", () => {
  assertEquals(turns({ rate: null, pace: null }), [1_000, 1_000, 1_000, 1_000]);
});

Deno.test("Pacing keeps the rate: so many records a second", () => {
  assertEquals(turns({ rate: 100, pace: null }), [1_000, 1_100, 1_200, 1_300]);
  assertEquals(turns({ rate: 0.5, pace: null }, 2), [1_000, 21_000]);
});

Deno.test("Pacing keeps the pace: so many times as fast as it happened", () => {
  assertEquals(turns({ rate: null, pace: 60 }), [1_000, 2_000, 3_000, 4_000]);
  assertEquals(turns({ rate: null, pace: 1 }, 2), [1_000, 61_000]);
});

Deno.test("Pacing goes by the slower of the two", () => {
  assertEquals(turns({ rate: 100, pace: 60 }), [1_000, 2_000, 3_000, 4_000]);
  assertEquals(turns({ rate: 5, pace: 60 }), [1_000, 3_000, 5_000, 7_000]);
});

Deno.test("Pacing does not add up the time that the work takes", () => {
  const pacing = new Pacing({ rate: 100, pace: null });
  const piece = { records: 10, lastMs: 0 };
  assertEquals([0, 30, 170, 210].map((now) => pacing.dueMs(piece, now)), [0, 100, 200, 300]);
});

Deno.test("Pacing does not make up for a long wait", () => {
  const pacing = new Pacing({ rate: 100, pace: null });
  const piece = { records: 10, lastMs: 0 };
  pacing.dueMs(piece, 0);
  // Ten minutes in which the stream was full.
  const due = Array.from({ length: 12 }, () => pacing.dueMs(piece, 600_000));
  assertEquals(due.slice(0, 2), [599_000, 599_100]);
  assertEquals(due.filter((at) => at <= 600_000).length, 11);
});
