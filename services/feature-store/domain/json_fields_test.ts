import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { toFeatureValue } from "./history.ts";
import { createFieldTable } from "./json_fields.ts";

const encoder = new TextEncoder();

/** JSON as PostgreSQL writes it: a space after each comma and colon. */
function write(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(write).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${
    Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${write(one)}`).join(", ")
  }}`;
}

function valuesOf(fields: readonly string[], records: readonly string[], first = 0) {
  const table = createFieldTable(fields);
  for (const record of records) table.add(encoder.encode(record));
  const { value } = table.from(first);
  return records.slice(first).map((_, position) => fields.map((_, field) => value(field, position)));
}

Deno.test("createFieldTable() reads the fields that JSON.parse() gives", () => {
  const names = ["a", "b", 'odd "\\name', "\u00e9", "", "aa", "__proto__"];
  const number = fc.oneof(
    fc.double({ noDefaultInfinity: true, noNaN: true }),
    fc.integer(),
    fc.integer({ min: -1e9, max: 1e9 }).map((cents) => cents / 100),
    // As many digits as there are.
    fc.tuple(fc.maxSafeInteger(), fc.integer({ min: 1, max: 7 })).map(([all, places]) =>
      all / 7 / 10 ** places
    ),
  );
  const value = fc.oneof(
    number,
    number,
    fc.string({ unit: "binary" }),
    fc.boolean(),
    fc.constant(null),
    fc.jsonValue(),
  );
  const record = fc.array(fc.tuple(fc.constantFrom(...names, "other"), value), { maxLength: 9 });
  fc.assert(
    fc.property(fc.array(record, { maxLength: 100 }), fc.nat(5), (records, first) => {
      const texts = records.map((entries) => {
        const own = new Map(entries);
        return `{${[...own].map(([name, one]) => `${JSON.stringify(name)}: ${write(one)}`).join(", ")}}`;
      });
      const expected = texts.map((text) => {
        const own = new Map(Object.entries(JSON.parse(text)));
        return names.map((name) => toFeatureValue(own.get(name)));
      });
      assertEquals(valuesOf(names, texts, first), expected.slice(first));
    }),
  );
});

Deno.test("createFieldTable() reads numbers as they are written", () => {
  const texts = [
    "0",
    "-0.5",
    "12.50",
    "123456789012345678",
    "0.1234567890123456789",
    "1e400",
    "-1.5E-7",
    "4e2",
  ];
  const records = texts.map((text) => `{"n": ${text}, "m": ${text}}`);
  assertEquals(
    valuesOf(["m"], records).flat(),
    texts.map((text) => Number.isFinite(Number(text)) ? Number(text) : null),
  );
});

Deno.test("createFieldTable() keeps its rows apart where fields come and go", () => {
  const records = ['{"x": 1, "y": "a"}', "{}", '{"y": {"x": [9, "}"]}, "x": 2}', '{"x": true}', '{"z": 1}'];
  assertEquals(valuesOf(["x", "y"], records), [[1, "a"], [null, null], [2, null], [true, null], [
    null,
    null,
  ]]);
  assertEquals(valuesOf([], records), [[], [], [], [], []]);
});
