import { assertEquals } from "@std/assert";
import { SeenTime } from "./seen_time.ts";

Deno.test("SeenTime.look() follows the wall while nothing is left", () => {
  const seen = new SeenTime();
  assertEquals(seen.look({ last: 0, done: 0 }, 1), { untilMs: 1, isAll: true });
  assertEquals(seen.look({ last: 9, done: 9 }, 2), { untilMs: 2, isAll: true });
});

Deno.test("SeenTime.look() moves on where there is always something left", () => {
  const seen = new SeenTime();
  assertEquals(seen.look({ last: 10, done: 5 }, 1), { untilMs: undefined, isAll: false });
  assertEquals(seen.look({ last: 20, done: 9 }, 2), { untilMs: undefined, isAll: false });
  assertEquals(seen.look({ last: 30, done: 10 }, 3), { untilMs: 1, isAll: false });
  // The 30 messages that were there then.
  assertEquals(seen.look({ last: 40, done: 29 }, 4), { untilMs: 1, isAll: false });
  assertEquals(seen.look({ last: 50, done: 45 }, 5), { untilMs: 3, isAll: false });
});

Deno.test("SeenTime.look() begins anew with a stream that was lost", () => {
  const seen = new SeenTime();
  seen.look({ last: 1_000, done: 0 }, 1);
  seen.look({ last: 2, done: 0 }, 2);
  assertEquals(seen.look({ last: 3, done: 2 }, 3), { untilMs: 2, isAll: false });
});
