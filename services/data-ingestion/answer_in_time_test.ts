import { assertEquals, assertRejects } from "@std/assert";
import { AppError, conflict } from "shared/errors.ts";
import { answerInTime } from "./answer_in_time.ts";

const options = { action: "look it up", withinMs: 60_000 };

Deno.test("answerInTime() gives what the work gives, and throws what it throws", async () => {
  assertEquals(await answerInTime(Promise.resolve(5), options), 5);
  const error = await assertRejects(() => answerInTime(Promise.reject(conflict("no")), options), AppError);
  assertEquals([error.code, error.message], ["conflict", "no"]);
  await assertRejects(() => answerInTime(Promise.reject(new RangeError("a defect")), options), RangeError);
});

Deno.test("answerInTime() says that a neighbour is away, or that it takes too long", async () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  const away = await assertRejects(() => answerInTime(Promise.reject(refused), options), AppError);
  assertEquals([away.code, away.message], ["unavailable", "Cannot look it up: connect ECONNREFUSED"]);
  const { promise: slow, resolve } = Promise.withResolvers<void>();
  const late = await assertRejects(() => answerInTime(slow, { ...options, withinMs: 1 }), AppError);
  assertEquals([late.code, late.retryAfter], ["unavailable", 2]);
  resolve();
});
