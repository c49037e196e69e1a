import { assert, assertEquals } from "@std/assert";
import { createPrivacy, isHashed } from "shared/privacy.ts";
import { mistakesIn, stepped } from "../testing/clean_one.ts";

const privacy = createPrivacy("a key for tests, of 32 characters");
const hash = (value: unknown) => stepped({ step: "hash", fields: ["s"] }, { s: value }, { privacy });
const mask = (value: unknown, keep = 0) => stepped({ step: "mask", fields: ["s"], keep }, { s: value });

Deno.test("hash() replaces values by what data-ingestion would, and leaves what it has hashed", async () => {
  const hashed = { s: privacy.hash("a@example.org") };
  assert(isHashed(hashed.s));
  assertEquals(await hash("a@example.org"), hashed);
  assertEquals(await hash(hashed.s), hashed);
  assertEquals([await hash(17), await hash(false)], [{ s: privacy.hash("17") }, {
    s: privacy.hash("false"),
  }]);
  assertEquals(await hash(null), { s: null });
});

Deno.test("mask() keeps the last characters, of numbers too, and cuts none in two", async () => {
  assertEquals(await mask("4111 1111 1111 1234", 4), { s: "***************1234" });
  assertEquals([await mask(4111), await mask(true, 1), await mask("", 4)], [{ s: "****" }, { s: "***e" }, {
    s: "",
  }]);
  assertEquals(await mask("x\u{1f600}\u{1f601}", 1), { s: "**\u{1f601}" });
});

Deno.test("hash() and mask() quarantine what they cannot hide, without showing it", async () => {
  const reason = ["/s must be a text, a number or true or false, to be hidden"];
  assertEquals([await hash({ card: "4111" }), await mask(["4111"])], [reason, reason]);
});

Deno.test("hash() is refused by a service without a key", () => {
  assertEquals(mistakesIn({ steps: [{ step: "hash", fields: ["s"] }] }), [
    "/steps/0 needs a key, and the service has none: it must be given SECRETS_KEY",
  ]);
});
