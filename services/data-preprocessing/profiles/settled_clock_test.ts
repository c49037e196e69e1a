import { assertEquals } from "@std/assert";
import { SettledClocks } from "./settled_clock.ts";

const at = (minute: number) => `2011-01-01T00:${String(minute).padStart(2, "0")}:00.000Z`;

Deno.test("settle() gives a clock once it has been known for long enough, and never an older one", () => {
  const clocks = new SettledClocks(1_000);
  assertEquals(clocks.settle("shop", at(1), 0), undefined);
  assertEquals(clocks.settle("shop", at(5), 600), undefined);
  assertEquals(clocks.settle("shop", at(5), 1_000), at(1));
  assertEquals(clocks.settle("shop", at(3), 1_500), at(1));
  assertEquals(clocks.settle("shop", at(5), 1_600), at(5));
  assertEquals(clocks.settle("shop", at(2), 9_000), at(5));
  assertEquals(clocks.settle("other", at(2), 9_000), undefined);
});

Deno.test("settle() gives every clock at once where none has to settle", () => {
  const clocks = new SettledClocks(0);
  assertEquals(clocks.settle("shop", at(1), 5), at(1));
});
