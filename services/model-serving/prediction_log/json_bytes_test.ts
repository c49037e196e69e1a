import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { JsonBytes } from "./json_bytes.ts";

/** Values as they are read again from a list that was written by `JsonBytes`. */
function readBack(values: readonly unknown[]): unknown {
  const out = new JsonBytes();
  for (const value of values) {
    out.text(",");
    out.value(value);
  }
  return JSON.parse(new TextDecoder().decode(out.takeList(out.length)));
}

const decimal = fc.tuple(fc.integer({ min: -(2 ** 31), max: 2 ** 31 }), fc.integer({ min: 0, max: 8 }))
  .map(([digits, places]) => digits / 10 ** places);
const text = fc.string({ unit: "binary" });
const value = fc.oneof(decimal, fc.integer(), fc.float(), fc.double(), text, fc.boolean(), fc.jsonValue());

Deno.test("JsonBytes.value() writes what JSON.stringify() reads as: numbers, texts, anything", () => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 50 }), (values) => {
      assertEquals(readBack(values), JSON.parse(JSON.stringify(values)));
    }),
    {
      numRuns: 2_000,
      examples: [[[0, -0, 0.1, 1e-6, 1e-7, 1073.741824, -1073.741823, 2 ** 53, 1e21]]],
    },
  );
});

Deno.test("JsonBytes.takeList() leaves what was written after it, and again() copies it", () => {
  const out = new JsonBytes();
  out.text(`,"${"a".repeat(40_000)}"`);
  const first = out.length;
  out.text(`,"b"`);
  out.again(first, out.length);
  const read = (list: Uint8Array) => JSON.parse(new TextDecoder().decode(list));
  assertEquals(read(out.takeList(first)), ["a".repeat(40_000)]);
  assertEquals(read(out.takeList(out.length)), ["b", "b"]);
  assertEquals(out.length, 0);
});
