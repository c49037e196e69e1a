import { assert, assertEquals, assertThrows } from "@std/assert";
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { SecretPolicy } from "shared/contracts/source.ts";
import { AppError } from "shared/errors.ts";
import { createPrivacy, isHashed } from "shared/privacy.ts";
import { compileSecrets, protectRecord, secretPaths } from "./secrets.ts";

const privacy = createPrivacy("a key of the tests that is long enough");

const protect = (secrets: Record<string, SecretPolicy>, data: DataRecord) =>
  protectRecord({ secrets: compileSecrets(secrets) }, data, privacy);

Deno.test("protectRecord() hashes and drops, by name and by pointer, and leaves the rest alone", () => {
  const data = { email: "ann@example.org", card: { number: "4111", holder: "Ann", "a/b": 1 }, items: 3 };
  const kept = protect({ email: "hash", "/card/number": "drop", "/card/a~1b": "hash" }, data);
  assertEquals(kept, {
    email: privacy.hash("ann@example.org"),
    card: { holder: "Ann", "a/b": privacy.hash(1) },
    items: 3,
  });
  assertEquals(data.card.number, "4111");
  assertEquals(protect({ email: "hash", "/card/number": "drop" }, { items: 3 }), { items: 3 });
});

Deno.test("protectRecord() keeps what is hashed already, and null, and hashes objects whole", () => {
  const once = protect({ a: "hash", b: "hash", c: "hash" }, { a: true, b: null, c: { d: [1] } });
  assertEquals(once, { a: privacy.hash(true), b: null, c: privacy.hash('{"d":[1]}') });
  assertEquals(protect({ a: "hash", b: "hash", c: "hash" }, once), once);
});

Deno.test("protectRecord() goes into arrays, by index or into every item", () => {
  const data = { items: [{ note: "x", n: 1 }, { note: "y" }, "z"], tags: ["p", "q"] };
  assertEquals(protect({ "/items/*/note": "drop", "/tags/1": "drop" }, data), {
    items: [{ n: 1 }, {}, null],
    tags: ["p", null],
  });
  const { tags } = protect({ "/tags/*": "hash" }, data) as { tags: unknown[] };
  assert(tags.every(isHashed));
});

Deno.test("protectRecord() leaves no secret in a record of another shape", () => {
  const secrets = { "/card/number": "drop", "/notes/*/text": "hash" } as const;
  assertEquals(protect(secrets, { card: "4111", notes: "x" }), { notes: privacy.hash("x") });
  assertEquals(protect(secrets, { card: [{ number: "4111", n: 1 }, 4111], notes: { text: "x" } }), {
    card: [{ n: 1 }, null],
    notes: { text: privacy.hash("x") },
  });
  assertEquals(protect(secrets, { card: null, notes: [["x"], null] }), {
    card: null,
    notes: [[privacy.hash("x")], null],
  });
});

Deno.test("protectRecord() knows a field named __proto__", () => {
  const data = JSON.parse('{"__proto__":{"x":"secret"},"a":1}') as DataRecord;
  const kept = JSON.stringify(protect({ "/__proto__/x": "hash" }, data));
  assertEquals(kept, `{"__proto__":{"x":"${privacy.hash("secret")}"},"a":1}`);
  assertEquals(JSON.stringify(protect({ __proto__x: "drop" }, data)), JSON.stringify(data));
});

Deno.test("compileSecrets() refuses what is no pointer, and secrets within secrets", () => {
  assertThrows(() => compileSecrets({ "/a~2": "hash" }), AppError, "must be a JSON Pointer");
  assertThrows(
    () => compileSecrets({ a: "hash", "/a/b": "drop" }),
    AppError,
    "/a/b lies within its secret /a",
  );
  assertThrows(() => compileSecrets({ "/a/*": "hash", "/a/0/b": "drop" }), AppError, "lies within");
  assertEquals(compileSecrets({ "/a/b": "hash", "/a/bc": "drop" }).length, 2);
});

Deno.test("secretPaths() hides values in, at and around secrets, and names within them", () => {
  const { hides, withoutNames } = secretPaths(compileSecrets({ email: "hash", "/items/*/card": "drop" }));
  const hidden = ["", "/email", "/email/x", "/items", "/items/7", "/items/7/card", "/items/7/card/number"];
  assertEquals(hidden.filter((path) => !hides(path)), []);
  assertEquals(["/name", "/items/7/price", "/emails"].filter(hides), []);
  assertEquals(withoutNames("/items/7/card/secret/4111"), "/items/7/card");
  assertEquals(withoutNames("/email/0"), "/email");
  assertEquals(withoutNames("/items/7/price"), "/items/7/price");
});
