import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { createPrivacy } from "shared/privacy.ts";
import { cleanOne, type StepInput } from "../testing/clean_one.ts";

const privacy = createPrivacy("a key for tests, of 32 characters");
const fields = ["a", "b", "c"];

const steps: StepInput[] = [
  { step: "select", fields },
  { step: "rename", fields: { a: "b", b: "a", c: "d" } },
  { step: "trim", fields },
  { step: "case", fields, to: "upper" },
  ...(["string", "integer", "number", "boolean", "instant"] as const).map((to) => ({
    step: "cast" as const,
    fields,
    to,
  })),
  { step: "parse_time", fields, format: "yyyy-MM-dd HH:mm", zone: "Europe/Paris" },
  { step: "parse_time", fields, format: "d LLLL yyyy", locale: "de" },
  { step: "parse_number", fields, locale: "ar-EG" },
  { step: "fill", fields: { a: 1, b: "x", c: true } },
  { step: "clip", fields, min: -1, max: 1 },
  ...(["keep", "null", "quarantine"] as const).map((otherwise) => ({
    step: "map" as const,
    field: "a",
    values: { "1": "one", true: null },
    otherwise,
  })),
  { step: "derive", field: "d", expression: "e.a * e.b + size(e.c)" },
  { step: "filter", expression: 'e.a > 1 || e.b.startsWith("x")', reason: "no" },
  { step: "extract", field: "a", pattern: "(?P<b>.)(?P<e>.)?", missing: "quarantine" },
  { step: "hash", fields },
  { step: "mask", fields, keep: 2 },
];

/** Records as JSON gives them, with the fields that the steps look at among others. */
const records = fc.record({ a: anyValue(), b: anyValue(), c: anyValue() }, { requiredKeys: [] })
  .chain((known) => fc.dictionary(fc.string(), fc.jsonValue()).map((others) => ({ ...others, ...known })))
  .map((record) => JSON.parse(JSON.stringify(record)) as Record<string, unknown>);

function anyValue() {
  return fc.oneof(
    fc.jsonValue(),
    fc.constantFrom(
      "",
      " ",
      "1",
      "-0",
      "1.5e3",
      "true",
      "2011-05-02 08:26",
      "3 M\u00e4rz 2011",
      "\u0661\u066b\u0665",
      1e300,
    ),
    fc.string({ unit: "binary" }),
  );
}

for (const step of steps) {
  Deno.test(`${step.step} (${JSON.stringify(step).slice(0, 60)}) neither throws nor changes the record, whatever that is`, async () => {
    await fc.assert(
      fc.asyncProperty(records, async (record) => {
        const before = JSON.stringify(record);
        const once = JSON.stringify(await cleanOne({ steps: [step] }, record, { privacy }));
        assertEquals(JSON.stringify(record), before);
        assertEquals(JSON.stringify(await cleanOne({ steps: [step] }, record, { privacy })), once);
      }),
      { numRuns: 60 },
    );
  });
}
