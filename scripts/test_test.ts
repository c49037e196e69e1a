import { assertEquals } from "@std/assert";
import { countTests } from "./test.ts";

Deno.test("countTests() reads the summary of deno test, with colours and steps", () => {
  const summary = "\x1b[32mok\x1b[0m | 12 passed (3 steps) | 0 failed | 2 ignored \x1b[90m(4s)\x1b[0m\n";
  assertEquals(countTests(`running 12 tests\n${summary}\n`, true), { passed: 12, failed: 0 });
  assertEquals(countTests("FAILED | 3 passed | 2 failed (1 step) (4s)\n\nerror: Test failed", false), {
    passed: 3,
    failed: 2,
  });
});

Deno.test("countTests() counts a failure when a run fails without a failed test", () => {
  assertEquals(countTests("Check file.ts\nerror: Type checking failed.", false), { passed: 0, failed: 1 });
  assertEquals(countTests("ok | 3 passed | 0 failed (1s)", false), { passed: 3, failed: 1 });
});

Deno.test("countTests() takes the last summary when a test prints one", () => {
  assertEquals(countTests("ok | 1 passed | 0 failed (1s)\nok | 5 passed | 0 failed (1s)\n", true), {
    passed: 5,
    failed: 0,
  });
});
