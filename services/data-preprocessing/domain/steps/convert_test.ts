import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { cast, type CastType } from "../cast.ts";
import { mistakesIn, stepped } from "../testing/clean_one.ts";

const time = (options: object, value: unknown) =>
  stepped({ step: "parse_time", fields: ["t"], format: "dd/MM/yyyy HH:mm", ...options }, { t: value });
const number = (value: unknown, locale = "de") =>
  stepped({ step: "parse_number", fields: ["n"], locale }, { n: value });

Deno.test("parse_time() reads text in its format, zone and language", async () => {
  assertEquals(await time({}, " 01/12/2010 08:26 "), { t: "2010-12-01T08:26:00.000Z" });
  assertEquals(await time({ zone: "Europe/Paris" }, "01/07/2011 08:26"), { t: "2011-07-01T06:26:00.000Z" });
  assertEquals(await time({ format: "d LLLL yyyy", locale: "fr" }, "14 juillet 2011"), {
    t: "2011-07-14T00:00:00.000Z",
  });
  assertEquals([await time({}, ""), await time({}, null)], [{ t: null }, { t: null }]);
});

Deno.test("parse_time() quarantines what does not parse", async () => {
  const message = "/t must be a time as 23/05/2011 16:26, in the format dd/MM/yyyy HH:mm, not";
  for (const value of ["31/02/2011 08:26", "2011-05-02", 5, {}]) {
    assertEquals(await time({}, value), [`${message} ${JSON.stringify(value)}`]);
  }
});

Deno.test("parse_number() reads numbers as the locale writes them, and leaves numbers", async () => {
  assertEquals(await number("1.234,56"), { n: 1234.56 });
  assertEquals(await number("1,234.56", "en"), { n: 1234.56 });
  assertEquals([await number(7.5), await number("")], [{ n: 7.5 }, { n: null }]);
});

Deno.test("parse_number() quarantines what does not parse", async () => {
  for (const value of ["1.5", "1,234.56", "5 \u20ac", "12 %", true]) {
    assertEquals(await number(value), [
      `/n must be a number as 1.234.567,5, in the locale de, not ${JSON.stringify(value)}`,
    ]);
  }
});

Deno.test("parse_time() and parse_number() are refused with formats, zones and locales that there are not", () => {
  const format = "yyyy-MM-dd";
  const mistakes = mistakesIn({
    steps: [
      { step: "parse_time", fields: ["t"], format: "YYYY-MM-DD" },
      { step: "parse_time", fields: ["t"], format, zone: "Mars/Olympus" },
      { step: "parse_time", fields: ["t"], format, locale: "xx-YY" },
      { step: "parse_number", fields: ["n"], locale: "german!" },
    ],
  });
  const expected = [
    '/steps/0 has the format "YYYY-MM-DD", which has the unknown token "YYYY"',
    '/steps/1 has the zone "Mars/Olympus", which is not known',
    '/steps/2 has the locale "xx-YY", which is not known',
    '/steps/3 has the locale "german!", which is not one',
  ];
  assertEquals(mistakes.map((mistake, index) => mistake.slice(0, expected[index]?.length)), expected);
});

const types: CastType[] = ["string", "integer", "number", "boolean", "instant"];

Deno.test("cast() changes nothing that it has cast", () => {
  const values = fc.oneof(
    fc.jsonValue(),
    fc.integer().map(String),
    fc.double().map(String),
    fc.constantFrom("yes", "No", "17850.0", "2010-12-01 08:26", "+5", "-0"),
  );
  fc.assert(fc.property(values, fc.constantFrom(...types), (value, to) => {
    const once = cast(value, to);
    if ("value" in once) assertEquals(cast(once.value, to), once);
  }));
});

Deno.test("cast() takes a time that grows no faster than the text", () => {
  const digits = `${"1".repeat(500_000)}x`;
  for (const to of types) cast(digits, to);
});
