import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { unavailable } from "shared/errors.ts";
import { Checks, DemoFailure, waitFor } from "./checks.ts";

Deno.test("checks.count() names what was expected and what was found", () => {
  const checks = new Checks();
  checks.count("clean user_events", 53634, 53634);
  const error = assertThrows(() => checks.count("clean user_events", 53634, 0), DemoFailure);
  assertEquals(error.message, "clean user_events: expected 53,634, found 0");
  assertEquals(checks.passed, 1);
});

Deno.test("checks of other kinds fail when what they ask for is not there", () => {
  const checks = new Checks();
  for (
    const fail of [
      () => checks.atLeast("rows", 500, 499),
      () => checks.atMost("memory", 900, 901),
      () => checks.near("spend", 1968.08, 1968.09, 1e-6),
      () => checks.near("spend", 1968.08, null, 1e-6),
      () => checks.equal("clock", "2011-05-01", "2011-05-02"),
      () => checks.holds("gate", false, { expected: "passed", found: "refused" }),
    ]
  ) {
    assertThrows(fail, DemoFailure);
  }
  assertEquals(checks.passed, 0);
});

Deno.test("waitFor() looks past a neighbour that is away, and names what did not come in time", async () => {
  let looks = 0;
  const found = await waitFor("it", () => {
    looks++;
    if (looks === 1) return Promise.reject(unavailable("nobody answers"));
    return Promise.resolve(looks > 2 ? looks : undefined);
  }, { everyMs: 1 });
  assertEquals(found, 3);
  await assertRejects(
    () => waitFor("the alert", () => Promise.resolve(undefined), { timeoutMs: 5, everyMs: 1 }),
    DemoFailure,
    "in vain for the alert",
  );
  await assertRejects(
    () => waitFor("it", () => Promise.reject(new TypeError("broken"))),
    TypeError,
    "broken",
  );
});
