import { assertEquals } from "@std/assert";
import { type SourceBody, sourceBodySchema } from "shared/contracts/source.ts";
import { incompatibilities } from "./compatibility.ts";

type Changes = Partial<SourceBody>;
const body = (changes: Changes) => sourceBodySchema.parse({ kind: "events", schema: {}, ...changes });

const found = (before: Changes, after: Changes) =>
  incompatibilities(body(before), body(after)).map(({ path, message }) => `${path} ${message}`);
const schemaChange = (before: Record<string, unknown>, after: Record<string, unknown>) =>
  incompatibilities(body({ schema: before }), body({ schema: after })).map(({ path }) => path);

/** The change is a narrowing there; the way back is none. */
function narrows(wide: Record<string, unknown>, narrow: Record<string, unknown>, ...paths: string[]): void {
  assertEquals(schemaChange(wide, narrow), paths);
  assertEquals(schemaChange(narrow, wide), []);
}

Deno.test("incompatibilities() finds every change of kind, id, time and secrets", () => {
  assertEquals(
    found(
      { kind: "events", id: ["order"], time: "at", secrets: { email: "hash", card: "drop" } },
      { kind: "entities", id: ["order", "line"], time: null, secrets: { email: "drop", phone: "hash" } },
    ),
    [
      '/kind must stay "events", not become "entities": stored records mean something else then',
      '/id must stay ["order"], not become ["order","line"]: stored records have their ids by it',
      '/time must stay "at", not become null: stored records have their times by it',
      "/secrets/email must stay hash: stored records hold it hashed",
      "/secrets/card must stay drop: stored records hold it not at all",
      "/secrets/phone must stay no secret: stored records hold it as it came",
    ],
  );
});

Deno.test("incompatibilities() lets everything change that stored records are past", () => {
  assertEquals(
    found(
      { kind: "logs", format: "json", knownAt: "event_time", secrets: { a: "hash", b: "drop" } },
      {
        kind: "logs",
        format: "combined",
        knownAt: "arrival",
        lateBound: "PT1H",
        futureBound: "PT1H",
        retention: "P1D",
        duplicateHorizon: "P1D",
        description: "of the shop",
        secrets: { b: "drop", a: "hash" },
      },
    ),
    [],
  );
});

Deno.test("incompatibilities() tells where a schema takes less than before", () => {
  const at = (name: string, schema: unknown) => ({ properties: { [name]: schema } });
  const order = (schema: unknown) => at("order", at("lines", { items: schema }));
  const place = "/schema/properties/order/properties/lines/items";
  narrows(order({ type: ["integer", "null"] }), order({ type: "integer" }), `${place}/type`);
  narrows(order({ type: "number" }), order({ type: "integer" }), `${place}/type`);
  narrows(order({}), order({ type: ["string", "null"] }), `${place}/type`);
  narrows({ enum: ["a", "b"] }, { enum: ["b"] }, "/schema/enum");
  narrows({ type: "string" }, { type: "string", enum: ["a"] }, "/schema/enum");
  narrows({ type: "boolean" }, { const: true }, "/schema/const");
  narrows({ enum: [1, "a"] }, { const: "a" }, "/schema/const");
  narrows({ minimum: 1 }, { minimum: 2 }, "/schema/minimum");
  narrows({ minimum: 1 }, { exclusiveMinimum: 1 }, "/schema/exclusiveMinimum");
  narrows({ exclusiveMaximum: 5 }, { maximum: 4 }, "/schema/maximum");
  narrows(
    { minLength: 1, maxLength: 9 },
    { minLength: 2, maxLength: 8 },
    "/schema/minLength",
    "/schema/maxLength",
  );
  narrows({}, { maxItems: 3 }, "/schema/maxItems");
  narrows({ multipleOf: 0.01 }, { multipleOf: 0.1 }, "/schema/multipleOf");
  narrows({ type: "string" }, { type: "string", pattern: "^a" }, "/schema/pattern");
  narrows({}, { uniqueItems: true }, "/schema/uniqueItems");
  narrows({ required: ["a"] }, { required: ["a", "b"] }, "/schema/required");
  narrows({}, { additionalProperties: false }, "/schema/additionalProperties");
  narrows(
    { additionalProperties: { type: ["string", "null"] } },
    { additionalProperties: { type: "string" } },
    "/schema/additionalProperties/type",
  );
  narrows(
    { properties: { a: {}, b: {} }, additionalProperties: false },
    { properties: { a: {} }, additionalProperties: false },
    "/schema/properties/b",
  );
});

Deno.test("incompatibilities() follows a field between the declared and the other ones", () => {
  const open = { properties: { a: { type: "string" } } };
  assertEquals(schemaChange(open, { properties: { ...open.properties, b: { type: "integer" } } }), []);
  assertEquals(schemaChange(open, {}), []);
  const strings = { additionalProperties: { type: "string" } };
  assertEquals(schemaChange(strings, { ...strings, properties: { a: { type: "integer" } } }), [
    "/schema/properties/a/type",
  ]);
  assertEquals(schemaChange({ ...strings, properties: { a: { type: "integer" } } }, strings), [
    "/schema/properties/a/type",
  ]);
  const closed = { additionalProperties: false };
  assertEquals(schemaChange(closed, { ...closed, properties: { a: { type: "integer" } } }), []);
  const patterns = { patternProperties: { "^x": { type: "string" } } };
  assertEquals(schemaChange(patterns, { ...patterns, properties: { x1: { type: "string" } } }), [
    "/schema/properties/x1",
  ]);
});

Deno.test("incompatibilities() refuses every change that it can't tell the meaning of", () => {
  assertEquals(
    schemaChange({ $ref: "#/$defs/a", $defs: { a: {} } }, { $ref: "#/$defs/a", $defs: { a: true } }),
    [
      "/schema/$defs",
    ],
  );
  assertEquals(schemaChange({ anyOf: [{ type: "string" }] }, { anyOf: [{ type: "string" }, {}] }), [
    "/schema/anyOf",
  ]);
  assertEquals(schemaChange({ properties: { a: {} } }, { properties: { a: { not: {} } } }), [
    "/schema/properties/a/not",
  ]);
  const same = { anyOf: [{ type: "string", enum: ["a"] }] };
  assertEquals(schemaChange(same, { title: "A", anyOf: [{ enum: ["a"], type: "string" }] }), []);
});
