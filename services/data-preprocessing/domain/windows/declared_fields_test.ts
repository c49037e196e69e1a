import { assertEquals } from "@std/assert";
import { cleaningBodySchema } from "shared/contracts/cleaning.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";
import { createRecordStatistics } from "shared/statistics/record_statistics.ts";
import type { z } from "zod";
import { compareWithDeclared, declaredFields } from "./declared_fields.ts";

type Input = z.input<typeof cleaningBodySchema>;

function anomalies(body: Input, schema: Record<string, unknown> | undefined, records: readonly DataRecord[]) {
  const statistics = createRecordStatistics();
  for (const record of records) statistics.add(record);
  const facts = { records: records.length, fields: statistics.summary() };
  return compareWithDeclared(facts, declaredFields(cleaningBodySchema.parse(body), schema))
    .map(({ field, message }) => `${field} ${message}`);
}

const SCHEMA = {
  properties: {
    a: { type: "integer", minimum: 1, maximum: 9 },
    b: { type: ["string", "null"], enum: ["x", "y"], maxLength: 1 },
    c: { type: "string" },
  },
  required: ["a", "b", "c"],
  additionalProperties: false,
};

Deno.test("compareWithDeclared() finds types, values and lengths that are not declared, and fields that are missing", () => {
  assertEquals(anomalies({}, SCHEMA, [{ a: 1, b: "x", c: "" }, { a: 9, b: null, c: "t" }]), []);
  assertEquals(
    anomalies({}, SCHEMA, [{ a: 0, b: "zz", c: "t" }, { a: 10, b: "y", e: 1 }, { a: "1", c: 5 }]),
    [
      "a has 1 values of type string, and is declared as integer",
      "a has the value 0, below its minimum of 1",
      "a has the value 10, above its maximum of 9",
      "b has a text of 2 characters, and at most 1 are declared",
      'b has the value "zz", which is not declared',
      "c has 1 values of type number, and is declared as string",
      "e is not a declared field",
      "c is required, and is not there in 1 of 3 records",
    ],
  );
});

Deno.test("declaredFields() follows the source's schema through the steps", () => {
  const body: Input = {
    steps: [
      { step: "rename", fields: { a: "n" } },
      { step: "cast", fields: ["b"], to: "number" },
      { step: "derive", field: "d", expression: "e.n * 2" },
      { step: "extract", field: "c", pattern: "(?P<major>[0-9]+)" },
      { step: "select", fields: ["n", "b", "d", "major"] },
    ],
  };
  assertEquals(anomalies(body, SCHEMA, [{ n: 20, b: 7, d: true, major: "1" }]), [
    "n has the value 20, above its maximum of 9",
  ]);
  assertEquals(anomalies(body, SCHEMA, [{ b: 7, d: true, other: 1 }]), [
    "other is not a declared field",
    "n is required, and is not there in 1 of 1 records",
  ]);
});

Deno.test("declaredFields() prefers what the cleaning declares of clean records", () => {
  const body: Input = {
    expectations: [{ expect: "schema", schema: { properties: { a: { type: "boolean" } } }, action: "warn" }],
  };
  assertEquals(anomalies(body, SCHEMA, [{ a: true, other: 1 }]), []);
  assertEquals(anomalies(body, SCHEMA, [{ a: 5 }]), [
    "a has 1 values of type number, and is declared as boolean",
  ]);
});

Deno.test("declaredFields() says nothing of a source that nobody knows", () => {
  assertEquals(anomalies({}, undefined, [{ a: 1 }]), []);
});
