import { assertEquals, assertThrows } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { compileRecordSchema } from "./record_schema.ts";

Deno.test("compileRecordSchema() finds every mistake, with its place and its value", () => {
  const check = compileRecordSchema({
    type: "object",
    required: ["a", "b/c"],
    properties: {
      a: { type: "integer" },
      status: { enum: ["new", "paid"] },
      lines: { type: "array", items: { type: "object", properties: { price: { minimum: 0 } } } },
    },
    additionalProperties: false,
  });
  assertEquals(check({ a: 1, "b/c": 2 }), [{ path: "/b~1c", message: "is not a field of this source" }]);
  assertEquals(check({ a: "x".repeat(200), status: "lost", lines: [{ price: 1 }, { price: -2 }], d: 1 }), [
    { path: "/b~1c", message: "must be there" },
    { path: "/d", message: "is not a field of this source" },
    { path: "/a", message: `must be integer, not "${"x".repeat(96)}...` },
    { path: "/status", message: 'must be one of ["new","paid"], not "lost"' },
    { path: "/lines/1/price", message: "must be >= 0, not -2" },
  ]);
});

Deno.test("compileRecordSchema() runs several patterns, none of which can hang it", () => {
  const check = compileRecordSchema({
    properties: { a: { pattern: "^(x+)+$" }, b: { pattern: "^[0-9]+$" } },
  });
  assertEquals(check({ a: "xxx", b: "123" }), []);
  assertEquals(check({ a: "123", b: "xxx" }).map(({ path }) => path), ["/a", "/b"]);
  assertEquals(check({ a: `${"x".repeat(10_000)}!` }).length, 1);
});

Deno.test("compileRecordSchema() refuses what it could not honour", () => {
  for (
    const schema of [
      { type: "strnig" },
      { properties: { a: { patern: "x" } } },
      { properties: { a: { pattern: "(?=x)" } } },
      { $ref: "https://example.org/other" },
      { $async: true },
    ]
  ) assertThrows(() => compileRecordSchema(schema), AppError, "Cannot use the JSON Schema");
});

Deno.test("compileRecordSchema() tells at most a hundred reasons", () => {
  const check = compileRecordSchema({ properties: { a: { items: { type: "string" } } } });
  const reasons = check({ a: Array.from({ length: 250 }, (_, index) => index) });
  assertEquals(reasons.length, 101);
  assertEquals(reasons.at(-1)?.message, "breaks its schema in 150 more ways");
});
