import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { AppError } from "../errors.ts";
import { compileLogFormat, logRecordSchema } from "./log_formats.ts";

const CIRCUMSTANCES = { arrivedAt: "2026-01-01T00:00:00.000Z" };

Deno.test("compileLogFormat() reads lines by a pattern of the user's own, from end to end", () => {
  const pattern = "(?P<time>[^|]+)[|](?P<level>[A-Z]+)(?:[|](?P<note>.*))?";
  const read = compileLogFormat({ pattern });
  assertEquals(read("17/May/2015:10:05:03 +0000|WARN|disk", CIRCUMSTANCES), {
    data: { time: "2015-05-17T10:05:03.000Z", level: "WARN", note: "disk" },
  });
  assertEquals(read("yesterday|WARN", CIRCUMSTANCES), {
    data: { time: "yesterday", level: "WARN", note: null },
  });
  assertEquals(read("2026|warn", CIRCUMSTANCES), {
    reason: `must match the pattern ${JSON.stringify(pattern)} from end to end`,
  });
  assertEquals("reason" in read("now|WARN, they said", CIRCUMSTANCES), true);
  assertEquals(logRecordSchema({ pattern })["required"], ["time", "level", "note"]);
});

Deno.test("compileLogFormat() refuses a pattern that is none or names no group", () => {
  const cases = [
    { pattern: "(?P<a>", expected: "Cannot compile the pattern" },
    { pattern: "(?P<a>x)(?=y)", expected: "Cannot compile the pattern" },
    { pattern: "[a-z]+", expected: "it must have a named group" },
  ];
  for (const { pattern, expected } of cases) {
    assertStringIncludes(assertThrows(() => compileLogFormat({ pattern }), AppError).message, expected);
  }
});

Deno.test("compileLogFormat() answers in time where a backtracking engine would not, whatever the pattern", () => {
  // 2^40,000 ways for a backtracking engine: this test would never end there.
  const read = compileLogFormat({ pattern: "(?P<text>(a+)+)b" });
  assertEquals("reason" in read("a".repeat(40_000), CIRCUMSTANCES), true);
});
