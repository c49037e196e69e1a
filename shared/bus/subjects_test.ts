import { assertEquals } from "@std/assert";
import { isTakenBy } from "./subjects.ts";

Deno.test("isTakenBy() compares token by token, with wildcards", () => {
  const taken = (filter: string) =>
    ["replay", "replay.r1", "replay.r1.orders", "replay.r1.orders.x", "events.orders"]
      .filter((subject) => isTakenBy(filter, subject));
  assertEquals(taken("replay.r1.orders"), ["replay.r1.orders"]);
  assertEquals(taken("replay.*.orders"), ["replay.r1.orders"]);
  assertEquals(taken("replay.>"), ["replay.r1", "replay.r1.orders", "replay.r1.orders.x"]);
  assertEquals(taken("*.*"), ["replay.r1", "events.orders"]);
  assertEquals(taken(">").length, 5);
});
