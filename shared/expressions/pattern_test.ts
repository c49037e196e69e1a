import { assertEquals, assertThrows } from "@std/assert";
import { AppError } from "../errors.ts";
import { compilePattern } from "./pattern.ts";

Deno.test("compilePattern() finds a pattern anywhere in a text", () => {
  assertEquals(compilePattern("[0-9]+").test("order 17"), true);
  assertEquals(compilePattern("^[0-9]+$").test("order 17"), false);
  assertEquals(compilePattern("(?<word>\\w+)").test("word"), true);
});

Deno.test("compilePattern() refuses what is too long or not RE2", () => {
  assertThrows(() => compilePattern("(a)\\1"), AppError, "Cannot compile the pattern");
  assertThrows(() => compilePattern("a".repeat(1_001)), AppError, "at most 1000");
});

Deno.test("compilePattern() is not hung by a nested repetition", () => {
  assertEquals(compilePattern("^(a|a)*$").test(`${"a".repeat(10_000)}b`), false);
});

Deno.test("compilePattern() gives what the named groups hold, null where one took no part", () => {
  const pattern = compilePattern("(?P<major>[0-9]+)[.](?:(?P<minor>[0-9]+)|(?<rest>[a-z]+))");
  assertEquals(pattern.groups, ["major", "minor", "rest"]);
  assertEquals(pattern.match("version 10.4 or 11.x"), { major: "10", minor: "4", rest: null });
  assertEquals(pattern.match("version 10.4", { whole: true }), undefined);
  assertEquals(pattern.match("11.x", { whole: true }), { major: "11", minor: null, rest: "x" });
  assertEquals(pattern.match("none"), undefined);
});
