// @ts-types="@types/luxon"
import { DateTime } from "luxon";
import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { AppError } from "../errors.ts";
import { compileTimeFormat } from "./time_format.ts";

const compile = (format: string, { zone = "UTC", locale = "en" } = {}) =>
  compileTimeFormat(format, { zone, locale });
const refusal = (format: string, options?: { zone?: string; locale?: string }) =>
  assertThrows(() => compile(format, options), AppError).message;

Deno.test("read() gives the instants that Luxon would", () => {
  const formats = [
    "dd/MM/yyyy HH:mm:ss",
    "d.M.yyyy H:m:s.SSS",
    "yyyyMMddHHmmss",
    "yyyy-MM-dd'T'HH:mm",
    "d LLL yyyy h:mm a",
  ];
  const anyTime = fc.date({
    min: new Date("0000-01-01T00:00Z"),
    max: new Date("9999-12-31T00:00Z"),
    noInvalidDate: true,
  });
  for (const format of formats) {
    const { read } = compile(format);
    fc.assert(fc.property(anyTime, (time) => {
      const text = DateTime.fromJSDate(time, { zone: "UTC" }).toFormat(format, { locale: "en" });
      const expected = DateTime.fromFormat(text, format, { zone: "UTC", locale: "en" });
      assertEquals(read(text), expected.toJSDate().toISOString(), text);
    }));
  }
});

Deno.test("read() takes what Luxon takes, and refuses what it refuses", () => {
  const format = "yyyy-MM-dd HH:mm:ss";
  const { read } = compile(format);
  const highest = [9999, 14, 33, 25, 61, 61];
  const parts = highest.map((max, index) =>
    fc.integer({ min: 0, max }).map((number) => String(number).padStart(index === 0 ? 4 : 2, "0"))
  );
  fc.assert(
    fc.property(fc.tuple(...parts), ([year, month, day, hour, minute, second]) => {
      const text = `${year}-${month}-${day} ${hour}:${minute}:${second}`;
      const time = DateTime.fromFormat(text, format, { zone: "UTC", locale: "en" });
      assertEquals(read(text), time.isValid ? time.toJSDate().toISOString() : undefined, text);
    }),
    { numRuns: 2_000 },
  );
  for (const day of ["2012-02-29", "2011-02-29", "2000-02-29", "1900-02-29", "2011-04-31"]) {
    const isReal = !Number.isNaN(Date.parse(`${day}T00:00Z`)) &&
      new Date(`${day}T00:00Z`).toISOString().startsWith(day);
    assertEquals(read(`${day} 24:00:00`) !== undefined, isReal, day);
    assertEquals(read(`${day} 08:26:00`) !== undefined, isReal, day);
  }
});

Deno.test("read() knows zones, languages and offsets", () => {
  assertEquals(compile("d LLLL yyyy", { locale: "de" }).read("3 M\u00e4rz 2011"), "2011-03-03T00:00:00.000Z");
  assertEquals(
    compile("yyyy-MM-dd HH:mm", { zone: "UTC+5:30" }).read("2011-01-01 02:00"),
    "2010-12-31T20:30:00.000Z",
  );
  const paris = { zone: "Europe/Paris" };
  assertEquals(compile("yyyy-MM-dd", paris).read("2011-01-01"), "2010-12-31T23:00:00.000Z");
  assertEquals(
    compile("yyyy-MM-dd HH:mm ZZ", paris).read("2011-01-01 02:00 +00:00"),
    "2011-01-01T02:00:00.000Z",
  );
  assertEquals(compile("yyyy-MM-dd", { zone: "UTC+2" }).read("0000-01-01"), undefined);
});

Deno.test("read() means the first of an hour that comes twice, and goes on past one that is left out", () => {
  const { read } = compile("yyyy-MM-dd HH:mm", { zone: "America/New_York" });
  assertEquals(read("2011-11-06 00:59"), "2011-11-06T04:59:00.000Z");
  assertEquals(read("2011-11-06 01:30"), "2011-11-06T05:30:00.000Z");
  assertEquals(read("2011-11-06 02:00"), "2011-11-06T07:00:00.000Z");
  assertEquals(read("2011-03-13 01:59"), "2011-03-13T06:59:00.000Z");
  assertEquals(read("2011-03-13 02:30"), "2011-03-13T07:30:00.000Z");
  assertEquals(read("2011-03-13 03:00"), "2011-03-13T07:00:00.000Z");
  const paris = compile("yyyy-MM-dd HH:mm", { zone: "Europe/Paris" });
  assertEquals(paris.read("2011-10-30 02:30"), "2011-10-30T00:30:00.000Z");
  assertEquals(paris.read("2011-03-27 02:30"), "2011-03-27T01:30:00.000Z");
});

Deno.test("compileTimeFormat() refuses what Luxon would take for text, or fill up from today", () => {
  assertEquals(
    refusal("YYYY-MM-DD"),
    'has the format "YYYY-MM-DD", which has the unknown token "YYYY": it must be as in yyyy-MM-dd HH:mm:ss, ' +
      "with text in single quotes",
  );
  assertEquals(refusal("HH:mm"), 'has the format "HH:mm", which tells no year');
  assertEquals(refusal("d yyyy"), 'has the format "d yyyy", which tells the day without the month');
  assertEquals(refusal("yyyy-MM-dd M"), 'has the format "yyyy-MM-dd M", which tells the month twice');
  assertEquals(refusal("yyyy 'x"), 'has the format "yyyy \'x", which opens a quote that it does not close');
  assertEquals(
    refusal("yyyy hh").endsWith("which tells an hour of twelve, h, without a for am and pm"),
    true,
  );
  for (const format of ["yyyy-MM-ddTHH:mm", "DD yyyy", "yyyy z"]) {
    assertEquals(refusal(format).includes("unknown token"), true, format);
  }
  assertEquals(refusal("yyyy HH a").includes("contradicts itself: Can't include meridiem"), true);
});

Deno.test("compileTimeFormat() refuses zones and locales that are not known, and the machine's own", () => {
  for (const zone of ["Mars/Olympus", "local", "system", "+2"]) {
    assertEquals(refusal("yyyy", { zone }).startsWith(`has the zone "${zone}", which is not known`), true);
  }
  assertEquals(
    refusal("yyyy", { locale: "xx" }),
    'has the locale "xx", which is not known: it must be one such as de-DE',
  );
});
