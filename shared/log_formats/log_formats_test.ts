import { assert, assertEquals } from "@std/assert";
import { gunzipSync } from "node:zlib";
import { LOG_FORMATS } from "../contracts/source.ts";
import { compileRecordSchema } from "../expressions/record_schema.ts";
import { compileLogFormat, detectLogFormat, logRecordSchema } from "./log_formats.ts";

const CIRCUMSTANCES = { arrivedAt: "2026-01-01T00:00:00.000Z" };
const LINES: Readonly<Record<(typeof LOG_FORMATS)[number], string>> = {
  json: '{"time":"2026-01-01T00:00:00Z","level":"info"}',
  combined: '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 17 "-" "curl/8.0"',
  common: '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 17',
  rfc3164: "<34>Oct 11 22:14:15 mymachine su: hello",
  rfc5424: '<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 [a b="c"] hello',
  logfmt: 'level=info msg="hello there" took=7ms',
};
const ACCESS_LOG = new URL("../../../shared/data/apache_access.log.gz", import.meta.url);

Deno.test("detectLogFormat() knows each format by its lines, a few odd ones among them", () => {
  for (const format of LOG_FORMATS) {
    const lines = [...Array<string>(9).fill(LINES[format]), "", "something else"];
    assertEquals(detectLogFormat(lines), format);
  }
  assertEquals(detectLogFormat(["Once upon a time", "there was a log"]), undefined);
  assertEquals(detectLogFormat([]), undefined);
});

Deno.test("logRecordSchema() accepts what the reader of its format gives", () => {
  for (const format of LOG_FORMATS) {
    const read = compileLogFormat(format)(LINES[format], CIRCUMSTANCES);
    assert("data" in read, format);
    assertEquals(compileRecordSchema(logRecordSchema(format))(read.data), [], format);
  }
});

Deno.test("compileLogFormat() says what is no line of JSON, and quotes nothing of it", () => {
  const read = compileLogFormat("json");
  for (const line of ["{secret", "[1, secret]", '"secret"', "", "7"]) {
    const result = read(line, CIRCUMSTANCES);
    assert("reason" in result && result.reason.startsWith("must be"), line);
    assertEquals(result.reason.includes("secret"), false, result.reason);
  }
});

Deno.test("compileLogFormat() reads a line in time linear in its length, whatever is repeated in it", () => {
  const openings = [
    'a - - [17/May/2015:10:05:03 +0000] "',
    "a - ",
    '<1>1 - - - - - [a b="',
    'a="',
    "<34>Oct 11 22:14:15 h ",
  ];
  const repeated = ["\\", '\\"', "[", " [", "] ", "a=", " ", "x"];
  for (const format of LOG_FORMATS) {
    const read = compileLogFormat(format);
    for (const opening of openings) {
      // Quadratic time would take minutes for each.
      for (const part of repeated) read(opening + part.repeat(200_000), CIRCUMSTANCES);
    }
  }
});

Deno.test({
  name: "compileLogFormat() reads a real access log (skipped without ../shared/data)",
  ignore: !await exists(ACCESS_LOG),
  fn: async () => {
    const text = new TextDecoder().decode(gunzipSync(await Deno.readFile(ACCESS_LOG)));
    const lines = text.split("\n").slice(0, -1);
    const read = compileLogFormat("combined");
    const refused = lines.flatMap((line, index) => {
      const result = read(line, CIRCUMSTANCES);
      return "reason" in result ? [{ line: index + 1, reason: result.reason }] : [];
    });
    assertEquals([lines.length, detectLogFormat(lines)], [10_000, "combined"]);
    // Its closing quote is missing.
    assertEquals(refused, [{
      line: 8_899,
      reason: "must be a line in the format combined: at character 111 must stand the agent in quotes",
    }]);
  },
});

async function exists(path: URL): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
