import { assertEquals } from "@std/assert";
import { type CopyStats, rateBetween, sampleOf, totalsOf } from "./domain.ts";

const copy = (id: string, data: CopyStats["data"], requests = 0): CopyStats => ({
  service: "s",
  id,
  requests,
  data,
});

Deno.test("totalsOf() adds what is each copy's own and takes the largest of the lag they share", () => {
  assertEquals(
    totalsOf([
      copy("a", { lag: 5, deadLetters: 1, handled: 100 }),
      copy("b", { lag: 7, deadLetters: 2, handled: 50 }),
    ]),
    { copies: 2, lag: 7, deadLetters: 3, handled: 150 },
  );
});

Deno.test("totalsOf() knows nothing of a service that does not answer", () => {
  assertEquals(totalsOf([]), { copies: 0, lag: null, deadLetters: null, handled: null });
});

Deno.test("totalsOf() counts requests where a service does not say what it handled", () => {
  assertEquals(totalsOf([copy("a", {}, 12)]).handled, 12);
});

Deno.test("rateBetween() is what was handled a second by the copies that were there all the time", () => {
  const before = sampleOf([copy("a", { handled: 100 }), copy("gone", { handled: 9 })], 1_000);
  const after = sampleOf([copy("a", { handled: 300 }), copy("new", { handled: 5_000 })], 3_000);
  assertEquals(rateBetween(before, after), 100);
  assertEquals(rateBetween(after, after), null);
});
