import { assertEquals, assertThrows } from "@std/assert";
import { z } from "zod";
import { AppError } from "./errors.ts";
import { parseWith, reasonsOf } from "./validation.ts";

const schema = z.object({
  rows: z.array(z.object({ "unit/price": z.number() })),
  limit: z.int().max(10).optional(),
});

Deno.test("parseWith() tells every mistake with a JSON pointer", () => {
  const input = { rows: [{ "unit/price": 1 }, { "unit/price": "x" }], limit: 11 };
  const error = assertThrows(() => parseWith(schema, input, "answer a.v1.b"), AppError);
  assertEquals(error.code, "invalid");
  assertEquals(error.message, "Cannot answer a.v1.b: 2 fields are wrong");
  assertEquals(error.reasons.map(({ path }) => path), ["/rows/1/unit~1price", "/limit"]);
});

Deno.test("parseWith() tells a single mistake in the message", () => {
  const error = assertThrows(() => parseWith(schema, {}, "answer a.v1.b"), AppError);
  assertEquals(error.message, "Cannot answer a.v1.b: /rows expected array, received undefined");
});

Deno.test("reasonsOf() tells what the name of a field must be like", () => {
  const names = z.record(z.string().regex(/^[a-z]+$/, "must match ^[a-z]+$"), z.number());
  const wrong = z.object({ columns: names }).safeParse({ columns: { A: 1, b: 2 } });
  assertEquals(reasonsOf(wrong.error!), [{
    path: "/columns/A",
    message: "has a name that must match ^[a-z]+$",
  }]);
});

Deno.test("reasonsOf() tells the mistakes of the branch of a union that was meant", () => {
  const union = z.union([
    z.literal("arrival"),
    z.object({ delay: z.int() }),
    z.object({ field: z.string() }),
  ]);
  const wrong = z.object({ knownAt: union }).safeParse({ knownAt: { delay: "x" } });
  assertEquals(reasonsOf(wrong.error!).map(({ path }) => path), ["/knownAt/delay"]);
});

Deno.test("reasonsOf() takes the branch whose named value is given, also of a union within a union", () => {
  const union = z.union([
    z.string(),
    z.union([
      z.object({ kind: z.literal("count"), per: z.int() }),
      z.object({ kind: z.enum(["sum", "mean"]), field: z.string() }),
    ]),
  ]);
  assertEquals(reasonsOf(union.safeParse({ kind: "mean" }).error!).map(({ path }) => path), ["/field"]);
});

Deno.test("reasonsOf() tells what a union accepts when no branch fits", () => {
  const wrong = z.object({ value: z.union([z.number(), z.null()]) }).safeParse({ value: "x" });
  assertEquals(reasonsOf(wrong.error!), [
    { path: "/value", message: "expected number, received string, or expected null, received string" },
  ]);
});
