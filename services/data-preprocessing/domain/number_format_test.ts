import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { compileNumberFormat } from "./number_format.ts";

const LOCALES = [
  "en",
  "de",
  "de-CH",
  "de-AT",
  "fr",
  "sv",
  "es",
  "pl",
  "pt-PT",
  "hi-IN",
  "he",
  "ar-EG",
  "fa",
  "bn",
  "ja",
];

Deno.test("read() gives back what each locale writes", () => {
  for (const locale of LOCALES) {
    const format = compileNumberFormat(locale);
    for (const useGrouping of [true, false]) {
      const written = new Intl.NumberFormat(locale, { useGrouping, maximumFractionDigits: 20 });
      fc.assert(fc.property(fc.double({ noNaN: true, min: -1e15, max: 1e15 }), (value) => {
        // Twenty decimals are not all of a small number's.
        const number = Number(value.toFixed(6));
        assertEquals(format.read(written.format(number)), number, `${locale} ${written.format(number)}`);
      }));
    }
  }
});

Deno.test("read() takes the spaces, apostrophes, signs and digits that people type for those of the locale", () => {
  const read = (locale: string, texts: string[]) =>
    texts.map((text) => compileNumberFormat(locale).read(text));
  assertEquals(read("fr", ["1 234,5", "1\u00a0234,5", "1\u202f234,5", "-5", "\u22125"]), [
    1234.5,
    1234.5,
    1234.5,
    -5,
    -5,
  ]);
  assertEquals(read("de-CH", ["1'234.5", "1\u2019234.5", "1234.5"]), [1234.5, 1234.5, 1234.5]);
  assertEquals(read("ar-EG", ["1234", "\u0661\u0662\u0663\u0664"]), [1234, 1234]);
  assertEquals(read("hi-IN", ["12,34,567", "1,234,567"]), [1234567, undefined]);
  assertEquals(read("en", ["+5", ".5", " 5 ", "-.5"]), [5, 0.5, 5, -0.5]);
});

Deno.test("read() refuses wrong grouping and whatever else stands beside a number", () => {
  const { read } = compileNumberFormat("de");
  const wrong = [
    "1.5",
    "12.34",
    "1234.567",
    "1.234.5",
    ".234",
    "1,2,3",
    "5,",
    ",",
    "",
    "-",
    "--5",
    "5-",
    "(5)",
  ];
  const beside = ["5 EUR", "\u20ac5", "5%", "1e5", "0x10", "Infinity", "NaN", "1 234", "five"];
  for (const text of [...wrong, ...beside]) assertEquals(read(text), undefined, text);
  assertEquals(read("9".repeat(400)), undefined);
});

Deno.test("read() takes a time that grows no faster than the text", () => {
  const { read } = compileNumberFormat("de");
  assertEquals(read(`${"1".repeat(500_000)}x`), undefined);
  assertEquals(read(`1${".111".repeat(200_000)}x`), undefined);
});
