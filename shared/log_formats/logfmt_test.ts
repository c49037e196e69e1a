import { assertEquals, assertStringIncludes } from "@std/assert";
import { compileLogFormat } from "./log_formats.ts";

const read = compileLogFormat("logfmt");
const logfmt = (line: string) => read(line, { arrivedAt: "2026-01-01T00:00:00.000Z" });

Deno.test("compileLogFormat() reads logfmt: quoted, empty, bare and repeated keys", () => {
  assertEquals(
    logfmt(
      String
        .raw`ts=2026-01-01T00:00:00Z level=info msg="it \"ends\"\n\u00e9" empty= retry url=/a?b=c tag=1 tag=2`,
    ),
    {
      data: {
        ts: "2026-01-01T00:00:00Z",
        level: "info",
        msg: 'it "ends"\n\u00e9',
        empty: "",
        retry: true,
        url: "/a?b=c",
        tag: ["1", "2"],
      },
    },
  );
});

Deno.test("compileLogFormat() says where a line stops to be logfmt", () => {
  const cases = [
    { line: "a plain sentence", expected: "must stand a pair such as level=info" },
    { line: 'level=info msg="it ends', expected: "at character 16 must stand a value" },
    { line: 'level=in"fo', expected: "at character 7 must stand a value" },
    { line: "level=info =x", expected: "at character 12 must stand a pair" },
    { line: "", expected: "at character 1 must stand a pair" },
  ];
  for (const { line, expected } of cases) {
    const result = logfmt(line);
    assertStringIncludes("reason" in result ? result.reason : "none", expected);
  }
});
