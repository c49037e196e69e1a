import { assertEquals } from "@std/assert";
import { sourceBodySchema } from "shared/contracts/source.ts";
import { sourceFields } from "./source_fields.ts";
import { type Body, mistakesIn } from "./testing/clean_one.ts";

const source = (schema: Record<string, unknown>, secrets: Record<string, "hash" | "drop"> = {}) => ({
  facts: sourceFields(sourceBodySchema.parse({ kind: "events", schema, secrets })),
});
const orders = source({
  properties: {
    id: { type: "string" },
    quantity: { type: "integer" },
    price: { type: ["number", "null"] },
    status: { enum: ["new", "paid", null] },
    paid: { const: true },
    lines: { type: "array" },
    address: { type: "object" },
    mixed: { type: ["string", "number"] },
    anything: {},
  },
});

Deno.test("compileCleaning() refuses steps that cannot work on what the source's schema says", () => {
  const steps: Body["steps"] = [
    { step: "trim", fields: ["id", "quantity"] },
    { step: "case", fields: ["paid"], to: "upper" },
    { step: "clip", fields: ["id"], min: 0 },
    { step: "cast", fields: ["lines"], to: "string" },
    { step: "cast", fields: ["paid"], to: "number" },
    { step: "parse_time", fields: ["quantity"], format: "yyyy" },
    { step: "parse_number", fields: ["paid"] },
    { step: "extract", field: "price", pattern: "(?P<a>x)" },
    { step: "map", field: "address", values: { a: "b" } },
    { step: "mask", fields: ["lines"] },
    { step: "explode", field: "status" },
    { step: "derive", field: "total", expression: 'e.quantity + "x"' },
    { step: "filter", expression: "e.status > 5", reason: "never" },
    { step: "filter", expression: "e.quantity", reason: "never" },
  ];
  const mistakes = mistakesIn({ steps }, orders);
  assertEquals(mistakes.length, steps.length);
  assertEquals(mistakes.slice(0, 5), [
    '/steps/0 reads the field "quantity", which holds an integer, and it needs text',
    '/steps/1 reads the field "paid", which holds true or false, and it needs text',
    '/steps/2 reads the field "id", which holds text, and it needs a number',
    '/steps/3 reads the field "lines", which holds a list, and it needs text or a number or true or false',
    '/steps/4 reads the field "paid", which holds true or false, and it needs text or a number',
  ]);
});

Deno.test("compileCleaning() refuses expectations that no record could meet", () => {
  const expectations: Body["expectations"] = [
    { expect: "range", field: "id", min: 1, action: "warn" },
    { expect: "pattern", field: "quantity", pattern: "x", action: "warn" },
    { expect: "set", field: "quantity", values: ["1", "2"], action: "warn" },
    { expect: "set", field: "anything", values: [], action: "warn" },
    { expect: "row", expression: "e.id * 2 > 1", message: "no", action: "warn" },
    { expect: "schema", schema: { properties: { id: { type: "integer" } } }, action: "warn" },
  ];
  assertEquals(mistakesIn({ expectations }, orders).map((text) => text.slice(0, 15)), [
    "/expectations/0",
    "/expectations/1",
    "/expectations/2",
    "/expectations/3",
    "/expectations/4",
    "/expectations/5",
  ]);
  const schema = { required: ["gone"], properties: { other: { type: "integer" } } };
  const steps: Body["steps"] = [{ step: "select", fields: ["id"] }];
  assertEquals(mistakesIn({ steps, expectations: [{ expect: "schema", schema, action: "warn" }] }), [
    '/expectations/0 reads the field "gone", which is not there: a select before it left id',
  ]);
});

Deno.test("compileCleaning() refuses nothing of which the schema says nothing plain", () => {
  const steps: Body["steps"] = ["mixed", "anything", "unknown"].flatMap((field) => [
    { step: "trim" as const, fields: [field] },
    { step: "derive" as const, field: "x", expression: `e.${field} > 1 && e.${field} + "x" == "y"` },
    { step: "explode" as const, field },
  ]);
  assertEquals(mistakesIn({ steps }, orders), []);
  assertEquals(
    mistakesIn({ steps: [{ step: "filter", expression: "e.price == null", reason: "x" }] }, orders),
    [],
  );
  const referring = source({ properties: { a: { $ref: "#/$defs/a" }, b: { anyOf: [{ type: "string" }] } } });
  const expectations: Body["expectations"] = [
    { expect: "range", field: "a", min: 1, action: "warn" },
    { expect: "range", field: "b", min: 1, action: "warn" },
  ];
  assertEquals(mistakesIn({ expectations }, referring), []);
});

Deno.test("compileCleaning() follows types through the steps", () => {
  const after = (steps: Body["steps"], field: string) =>
    mistakesIn({
      steps: [...steps ?? [], { step: "clip", fields: [field], min: 0 }],
    }, orders).map((text) => /holds ([^,]*),/.exec(text)?.[1]);
  assertEquals(after([{ step: "cast", fields: ["id"], to: "integer" }], "id"), []);
  assertEquals(after([{ step: "cast", fields: ["quantity"], to: "string" }], "quantity"), ["text"]);
  assertEquals(after([{ step: "parse_number", fields: ["id"] }], "id"), []);
  assertEquals(after([{ step: "parse_time", fields: ["id"], format: "yyyy" }], "id"), ["an instant"]);
  assertEquals(after([{ step: "rename", fields: { id: "name", quantity: "id" } }], "id"), []);
  assertEquals(after([{ step: "rename", fields: { id: "name" } }], "name"), ["text"]);
  assertEquals(after([{ step: "mask", fields: ["quantity"] }], "quantity"), ["text"]);
  assertEquals(after([{ step: "extract", field: "id", pattern: "(?P<tail>x)" }], "tail"), ["text"]);
  assertEquals(after([{ step: "derive", field: "x", expression: "e.anything * 2" }], "x"), []);
  assertEquals(after([{ step: "derive", field: "x", expression: "e.quantity > 2" }], "x"), ["true or false"]);
  assertEquals(after([{ step: "derive", field: "x", expression: "e.anything" }], "x"), []);
  assertEquals(after([{ step: "fill", fields: { price: 0 } }], "price"), []);
  assertEquals(after([{ step: "fill", fields: { price: "none" } }], "price"), []);
  assertEquals(
    after([{ step: "map", field: "status", values: { new: 1, paid: 2.5 }, otherwise: "null" }], "status"),
    [],
  );
  assertEquals(after([{ step: "map", field: "status", values: { new: "n" } }], "status"), ["text"]);
  assertEquals(after([{ step: "explode", field: "lines", into: "id" }], "id"), []);
});

Deno.test("compileCleaning() knows the fields of a source that has no others", () => {
  const closed = source({ properties: { a: {}, b: {}, card: {} }, additionalProperties: false }, {
    card: "drop",
  });
  const steps: Body["steps"] = [
    { step: "trim", fields: ["a", "c"] },
    { step: "derive", field: "d", expression: "e.a + e.card" },
    { step: "fill", fields: { c: "x" } },
    { step: "trim", fields: ["c"] },
  ];
  assertEquals(mistakesIn({ steps }, closed), [
    '/steps/0 reads the field "c", which is not there: the source\'s schema has a, b',
    '/steps/1 reads the field "card", which is not there: the source\'s schema has a, b',
  ]);
  const patterned = source({ patternProperties: { "^x": {} }, additionalProperties: false });
  assertEquals(mistakesIn({ steps: [{ step: "trim", fields: ["x1"] }] }, patterned), []);
});

Deno.test("compileCleaning() concludes nothing about secrets from the schema", () => {
  const schema = {
    properties: { card: { type: "integer" }, "a/b": { type: "integer" }, deep: { type: "object" } },
  };
  const secret = source(schema, { card: "hash", "/a~1b": "hash", "/deep/card": "hash" });
  const steps: Body["steps"] = [{ step: "case", fields: ["card", "a/b"], to: "lower" }];
  assertEquals(mistakesIn({ steps }, secret), []);
  assertEquals(mistakesIn({ steps }, source(schema)).length, 1);
  assertEquals(mistakesIn({ steps: [{ step: "trim", fields: ["deep"] }] }, secret).length, 1);
});
