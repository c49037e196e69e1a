import { assertEquals } from "@std/assert";
import type { DataRecord } from "shared/contracts/envelope.ts";
import { type Body, cleanOne } from "../testing/clean_one.ts";

type ExpectationInput = NonNullable<Body["expectations"]>[number];

async function complaints(expectation: ExpectationInput, data: DataRecord, steps: Body["steps"] = []) {
  const cleaned = await cleanOne({ steps, expectations: [expectation] }, data);
  const reasons = cleaned.outcome === "quarantined"
    ? cleaned.reasons
    : cleaned.outcome === "clean"
    ? cleaned.warnings
    : [];
  return reasons.map(({ path, message }) => `${path} ${message}`);
}

Deno.test("an expectation warns, quarantines or blocks, as its action says", async () => {
  const outcome = async (action: "warn" | "quarantine" | "block") => {
    const cleaned = await cleanOne({ expectations: [{ expect: "not_null", fields: ["a", "b"], action }] }, {
      b: null,
    });
    return [
      cleaned.outcome,
      cleaned.outcome === "quarantined" && cleaned.blocked,
      cleaned.outcome === "quarantined"
        ? cleaned.reasons.length
        : cleaned.outcome === "clean" && cleaned.warnings.length,
    ];
  };
  assertEquals(await outcome("warn"), ["clean", false, 2]);
  assertEquals(await outcome("quarantine"), ["quarantined", false, 2]);
  assertEquals(await outcome("block"), ["quarantined", true, 2]);
});

Deno.test("a record is only blocked by the expectation that failed", async () => {
  const cleaned = await cleanOne({
    expectations: [
      { expect: "range", field: "a", min: 1, action: "quarantine" },
      { expect: "range", field: "b", min: 1, action: "block" },
    ],
  }, { a: 0, b: 2 });
  assertEquals(cleaned.outcome === "quarantined" && cleaned.blocked, false);
});

Deno.test("range, set and pattern tell what a value must be, and nothing about null", async () => {
  const action = "quarantine";
  const range: ExpectationInput = { expect: "range", field: "a", min: 1, max: 3, action };
  assertEquals(await complaints(range, { a: 0.5 }), ["/a must be at least 1, not 0.5"]);
  assertEquals(await complaints(range, { a: 4 }), ["/a must be at most 3, not 4"]);
  assertEquals(await complaints(range, { a: "2" }), ['/a must be a number, not "2"']);
  const set: ExpectationInput = { expect: "set", field: "a", values: ["x", 1], action };
  assertEquals(await complaints(set, { a: "1" }), ['/a must be one of ["x",1], not "1"']);
  const pattern: ExpectationInput = { expect: "pattern", field: "a", pattern: "[0-9]$", action };
  assertEquals(await complaints(pattern, { a: "7a" }), ['/a must match [0-9]$, not "7a"']);
  assertEquals(await complaints(pattern, { a: 7 }), ["/a must be a text, not 7"]);
  for (const [expectation, held] of [[range, 3], [set, 1], [pattern, "a7"]] as const) {
    assertEquals(await complaints(expectation, { a: held }), []);
    assertEquals(await complaints(expectation, { a: null }), []);
    assertEquals(await complaints(expectation, {}), []);
  }
});

Deno.test("row complains of false, not of null, and of what cannot be evaluated", async () => {
  const row: ExpectationInput = {
    expect: "row",
    expression: "e.a * 2 > 4",
    message: "a is small",
    action: "warn",
  };
  assertEquals(await complaints(row, { a: 2 }), [" a is small"]);
  assertEquals([await complaints(row, { a: 3 }), await complaints(row, {})], [[], []]);
  assertEquals(await complaints(row, { a: "x" }), [
    ' a is small: Cannot evaluate the expression "e.a * 2 > 4": no such overload: dyn<string> * double',
  ]);
});

Deno.test("schema finds every mistake in the clean record, null included", async () => {
  const schema = {
    required: ["a"],
    properties: { a: { type: "integer" }, lines: { items: { properties: { price: { minimum: 0 } } } } },
  };
  const expectation: ExpectationInput = { expect: "schema", schema, action: "quarantine" };
  assertEquals(await complaints(expectation, { a: null, lines: [{ price: 1 }, { price: -1 }] }), [
    "/a must be integer, not null",
    "/lines/1/price must be >= 0, not -1",
  ]);
  assertEquals(await complaints(expectation, { a: 1 }), []);
});

Deno.test("what failed in a step is not judged again", async () => {
  const steps: Body["steps"] = [{ step: "cast", fields: ["a/b"], to: "integer" }];
  const action = "quarantine";
  for (
    const expectation of [
      { expect: "not_null", fields: ["a/b"], action },
      { expect: "range", field: "a/b", min: 1, action },
      { expect: "row", expression: 'e["a/b"] > 1', message: "small", action },
      { expect: "schema", schema: { properties: { "a/b": { type: "integer" } } }, action },
    ] satisfies ExpectationInput[]
  ) {
    const found = await complaints(expectation, { "a/b": "x" }, steps);
    assertEquals(found.length, 1, expectation.expect);
    assertEquals(found[0]?.startsWith("/a~1b must be an integer such as"), true);
  }
});
