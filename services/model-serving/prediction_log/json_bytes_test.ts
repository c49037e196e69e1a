import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { JsonBytes } from "./json_bytes.ts";

const decoder = new TextDecoder();

/** Values as they are read again from a list that was written by `JsonBytes`. */
function readBack(values: readonly unknown[], from = 0, to = values.length): unknown {
  const out = new JsonBytes();
  out.text("[");
  out.values(values, from, to);
  out.ascii("]");
  return JSON.parse(decoder.decode(out.view()));
}

const decimal = fc.tuple(fc.integer({ min: -(2 ** 31), max: 2 ** 31 }), fc.integer({ min: 0, max: 8 }))
  .map(([digits, places]) => digits / 10 ** places);
const text = fc.string({ unit: "binary" });
const value = fc.oneof(decimal, fc.integer(), fc.float(), fc.double(), text, fc.boolean(), fc.jsonValue());

Deno.test("JsonBytes.values() writes what JSON.stringify() reads as: numbers, texts, anything", () => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 50 }), (values) => {
      assertEquals(readBack(values), JSON.parse(JSON.stringify(values)));
    }),
    {
      numRuns: 2_000,
      examples: [[[0, -0, 0.1, 1e-6, 1e-7, 1073.741824, -1073.741823, 2 ** 53, 1e21]]],
    },
  );
  assertEquals(readBack([0, 1, NaN, undefined, 4], 1, 4), [1, null, null]);
});

Deno.test("JsonBytes.values() writes typed lists as it does others", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(decimal, fc.double()), { minLength: 1, maxLength: 50 }), (values) => {
      const out = new JsonBytes();
      out.text("[");
      out.values(Float64Array.from(values), 0, values.length);
      out.text("]");
      assertEquals(JSON.parse(decoder.decode(out.view())), JSON.parse(JSON.stringify(values)));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("JsonBytes.float32s() writes digits of which the same float32 is read, and few of them", () => {
  const float32 = fc.oneof(
    fc.float({ noNaN: true, noDefaultInfinity: true }),
    decimal.map(Math.fround),
    fc.integer().map(Math.fround),
  );
  fc.assert(
    fc.property(fc.array(float32, { minLength: 1, maxLength: 50 }), (values) => {
      const out = new JsonBytes();
      out.float32s(Float32Array.from(values), 0, values.length);
      const texts = decoder.decode(out.view()).split(",");
      assertEquals(texts.map((text) => Math.fround(JSON.parse(text)) + 0), values.map((value) => value + 0));
      for (const [index, text] of texts.entries()) {
        const size = Math.abs(values[index]!);
        if (size < 0.1 || size >= 1e9) continue;
        const digits = text.replace(/^-?[0.]*/, "").replace(".", "");
        assert(digits.length <= 10, `${values[index]} is written as ${text}`);
      }
    }),
    {
      numRuns: 2_000,
      examples: [[[0.1, 1 / 3, 52341.12, 1073.75, 16777216, 3e38, -1e-20, 0].map(Math.fround)]],
    },
  );
});

Deno.test("JsonBytes forgets what is cut or truncated, and grows", () => {
  const out = new JsonBytes();
  const long = "a".repeat(40_000);
  out.text(`["${long}"`);
  const first = out.length;
  out.text(`,"b","c"`);
  out.cut(first, first + 4);
  out.bytes(new TextEncoder().encode("]"));
  const whole = out.length;
  out.text("...");
  out.truncate(whole);
  assertEquals(JSON.parse(decoder.decode(out.view())), [long, "c"]);
  out.truncate(0);
  assertEquals(out.length, 0);
  out.ascii("1");
  assertEquals(decoder.decode(out.view()), "1");
});
