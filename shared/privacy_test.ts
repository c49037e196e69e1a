import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { AppError } from "./errors.ts";
import { createPrivacy, isHashed } from "./privacy.ts";

const KEY = "a key for tests, of 32 characters";
const bytes = new TextEncoder().encode("4111 1111 1111 1111");

Deno.test("hash() keeps equal values equal, under one key only", () => {
  const privacy = createPrivacy(KEY);
  assertEquals(privacy.hash("a@example.org"), createPrivacy(KEY).hash("a@example.org"));
  assertNotEquals(privacy.hash("a@example.org"), privacy.hash("b@example.org"));
  assertNotEquals(privacy.hash("a@example.org"), createPrivacy(`${KEY}!`).hash("a@example.org"));
  assert(isHashed(privacy.hash(17)));
  assert(!isHashed("a@example.org"));
});

Deno.test("open() gives back what seal() took, and equal bytes are sealed differently", () => {
  const privacy = createPrivacy(KEY);
  const sealed = privacy.seal(bytes);
  assertEquals(new Uint8Array(createPrivacy(KEY).open(sealed)), bytes);
  assertNotEquals(sealed, privacy.seal(bytes));
  assert(!sealed.includes("4111"));
});

Deno.test("open() refuses what was sealed with another key, was changed, or is not sealed", () => {
  const sealed = createPrivacy(KEY).seal(bytes);
  const last = sealed.at(-2) === "A" ? "B" : "A";
  assertThrows(() => createPrivacy(`${KEY}!`).open(sealed), AppError, "another key");
  assertThrows(() => createPrivacy(KEY).open(sealed.slice(0, -2) + last + sealed.at(-1)), AppError);
  assertThrows(() => createPrivacy(KEY).open("4111"), AppError, "not sealed");
});

Deno.test("createPrivacy() refuses a short key", () => {
  assertThrows(() => createPrivacy("secret"), AppError, "has 6 characters, and must have 32");
});
