import { z } from "zod";
import { assertEquals, assertThrows } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { resolveParameters } from "./parameters.ts";

const specs = z.object({
  rounds: z.int().min(1).max(1_000).default(100),
  rate: z.number().min(0.01).max(1).default(0.1),
});

Deno.test("resolveParameters() fills in the defaults", () => {
  assertEquals(resolveParameters("gbdt", specs, { rate: 0.5 }), { rounds: 100, rate: 0.5 });
});

Deno.test("resolveParameters() names every unknown parameter and every bad value", () => {
  const error = assertThrows(
    () => resolveParameters("gbdt", specs, { round: 3, rate: 2, rounds: 1.5 }),
    AppError,
  );
  assertEquals(
    error.message,
    "Cannot use the parameters of gbdt: round is unknown (did you mean rounds?): it must be one of rounds, rate",
  );
  assertEquals(error.reasons, [
    { path: "/round", message: "is unknown (did you mean rounds?): it must be one of rounds, rate" },
    { path: "/rounds", message: "is 1.5: expected int, received number" },
    { path: "/rate", message: "is 2: Too big: expected number to be <=1" },
  ]);
});

Deno.test("resolveParameters() says what stands where a parameter has parts", () => {
  const monotone = z.object({ monotone: z.record(z.string(), z.union([z.literal(-1), z.literal(1)])) });
  const error = assertThrows(
    () => resolveParameters("gbdt", monotone, { monotone: { "view.a/b": 2 } }),
    AppError,
  );
  assertEquals(error.reasons, [{ path: "/monotone/view.a~1b", message: "is 2: expected -1, or expected 1" }]);
});

Deno.test("resolveParameters() refuses NaN, booleans and names of every object's properties", () => {
  for (const given of [{ rate: NaN }, { rate: true }, { toString: 1 }]) {
    assertEquals(assertThrows(() => resolveParameters("gbdt", specs, given), AppError).reasons.length, 1);
  }
});
