import { assertEquals, assertRejects } from "@std/assert";
import { eventually } from "./poll.ts";

Deno.test("eventually() resolves with what the check gives once that is true", async () => {
  const answers = [false, null, 0, "", 7];
  assertEquals(await eventually(() => answers.shift()), 7);
});

Deno.test("eventually() goes on while the check throws", async () => {
  let failures = 3;
  await eventually(() => assertEquals(failures-- > 0, false));
  assertEquals(failures, -1);
});

Deno.test("eventually() throws what the check threw last when the time is over", async () => {
  await assertRejects(
    () => eventually(() => Promise.reject(new Error("still wrong")), { timeoutMs: 40 }),
    Error,
    "still wrong",
  );
  await assertRejects(() => eventually(() => false, { timeoutMs: 40 }), Error, "still gives false");
});
