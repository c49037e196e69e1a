import { assertEquals } from "@std/assert";
import { mistakesIn, stepped } from "../testing/clean_one.ts";

Deno.test("fill() sets what is missing or null", async () => {
  const step = { step: "fill", fields: { a: 0, b: "none", c: false } } as const;
  assertEquals(await stepped(step, { a: null, b: "", c: true }), { a: 0, b: "", c: true });
  assertEquals(await stepped(step, {}), { a: 0, b: "none", c: false });
});

Deno.test("clip() moves numbers to the bounds, and quarantines what is no number", async () => {
  const clip = (value: unknown) => stepped({ step: "clip", fields: ["n"], min: 0, max: 10 }, { n: value });
  assertEquals(await Promise.all([-1, 0, 5.5, 11, null].map(clip)), [
    { n: 0 },
    { n: 0 },
    { n: 5.5 },
    { n: 10 },
    { n: null },
  ]);
  assertEquals(await clip("5"), ['/n must be a number, not "5"']);
  assertEquals(await stepped({ step: "clip", fields: ["n"], min: 0 }, { n: 1e9 }), { n: 1e9 });
});

Deno.test("map() replaces values by their text, and does as told with the others", async () => {
  const map = (value: unknown, otherwise: "keep" | "null" | "quarantine" = "keep") =>
    stepped({ step: "map", field: "v", values: { "1": "one", true: "yes", x: null }, otherwise }, {
      v: value,
    });
  assertEquals(await Promise.all([1, "1", true, "x"].map((value) => map(value))), [
    { v: "one" },
    { v: "one" },
    { v: "yes" },
    { v: null },
  ]);
  assertEquals([await map("constructor"), await map(2, "null"), await map(null, "quarantine")], [
    { v: "constructor" },
    { v: null },
    { v: null },
  ]);
  assertEquals(await map(2, "quarantine"), ['/v must be one of ["1","true","x"], not 2']);
  assertEquals(await map(["1"], "quarantine"), ['/v must be one of ["1","true","x"], not ["1"]']);
});

Deno.test("clip() is refused without bounds, or with nothing between them", () => {
  const steps = [
    { step: "clip" as const, fields: ["n"] },
    { step: "clip" as const, fields: ["n"], min: 3, max: 1 },
  ];
  assertEquals(mistakesIn({ steps }), [
    "/steps/0 must have a min or a max",
    "/steps/1 has the min 3 above the max 1",
  ]);
});
