import { assertEquals } from "@std/assert";
import { cleanOne, mistakesIn, stepped } from "../testing/clean_one.ts";

Deno.test("select() keeps the fields that are there, in its own order", async () => {
  const record = await stepped({ step: "select", fields: ["c", "a", "missing"] }, { a: 1, b: 2, c: null });
  assertEquals(Object.entries(record), [["c", null], ["a", 1]]);
});

Deno.test("rename() gives each field its new name where it stood", async () => {
  const record = await stepped(
    { step: "rename", fields: { a: "b", b: "a", missing: "c" } },
    { a: 1, x: 2, b: 3, c: 4 },
  );
  assertEquals(Object.entries(record), [["b", 1], ["x", 2], ["a", 3], ["c", 4]]);
});

Deno.test("rename() lets a field take the place of another", async () => {
  const step = { step: "rename" as const, fields: { a: "b" } };
  assertEquals(await stepped(step, { b: 1, a: 2 }), { b: 2 });
  assertEquals(await stepped(step, { a: 2, b: 1 }), { b: 2 });
});

Deno.test("rename() keeps a field whatever its name", async () => {
  const record = JSON.parse('{"a": 1, "__proto__": {"polluted": true}}');
  const renamed = await stepped({ step: "rename", fields: { a: "b" } }, record);
  assertEquals(JSON.stringify(renamed), '{"b":1,"__proto__":{"polluted":true}}');
});

Deno.test("rename() takes along that a field failed", async () => {
  const body = (field: string) => ({
    steps: [
      { step: "cast" as const, fields: ["a"], to: "integer" as const },
      { step: "rename" as const, fields: { a: "b" } },
    ],
    expectations: [{ expect: "range" as const, field, min: 5, action: "quarantine" as const }],
  });
  const reasons = async (field: string) => {
    const cleaned = await cleanOne(body(field), { a: "x", c: 1, b: 1 });
    return cleaned.outcome === "quarantined" ? cleaned.reasons.map(({ path }) => path) : cleaned.outcome;
  };
  assertEquals(await reasons("b"), ["/a"]);
  assertEquals(await reasons("c"), ["/a", "/c"]);
});

Deno.test("rename() is refused when two fields would have one name, or one that cannot be used", () => {
  const steps = [
    { step: "rename" as const, fields: { a: "d", b: "d" } },
    { step: "rename" as const, fields: { a: "toString" } },
  ];
  assertEquals(mistakesIn({ steps }), [
    '/steps/0 renames two fields to "d"',
    '/steps/1 names the field "toString", which cannot be used',
  ]);
});
