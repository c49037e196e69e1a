import { assertEquals, assertStringIncludes } from "@std/assert";
import { compileLogFormat } from "./log_formats.ts";

const CIRCUMSTANCES = { arrivedAt: "2026-01-01T00:00:00.000Z" };
const readCombined = compileLogFormat("combined");
const combined = (line: string) => readCombined(line, CIRCUMSTANCES);

/** A combined line with these parts in place of ordinary ones. */
function line(
  {
    user = "-",
    time = "17/May/2015:10:05:03 +0000",
    request = "GET / HTTP/1.1",
    answer = "200 17",
    agent = "-",
  },
): string {
  return `10.0.0.1 - ${user} [${time}] "${request}" ${answer} "-" "${agent}"`;
}

function field(parts: Parameters<typeof line>[0], name: string): unknown {
  const read = combined(line(parts));
  return "data" in read ? read.data[name] : read.reason;
}

Deno.test("compileLogFormat() reads a combined line, quotes within quotes included", () => {
  const read = combined(
    String.raw`::1 - anna b [10/Oct/2000:13:55:36 -0700] "GET /a?q=\"x y\" HTTP/1.0" 200 2326 ` +
      String.raw`"http://example.com/" "Agent \"7\" C:\\temp (a)"`,
  );
  assertEquals(read, {
    data: {
      client: "::1",
      identity: null,
      user: "anna b",
      time: "2000-10-10T20:55:36.000Z",
      method: "GET",
      path: '/a?q="x y"',
      protocol: "HTTP/1.0",
      request: null,
      status: 200,
      bytes: 2326,
      referrer: "http://example.com/",
      agent: 'Agent "7" C:\\temp (a)',
    },
  });
});

Deno.test("compileLogFormat() reads a common line, and a minus as null", () => {
  const read = compileLogFormat("common")(
    '127.0.0.1 - frank [10/Oct/2000:13:55:36 +0530] "HEAD /x HTTP/2" 304 -\r',
    CIRCUMSTANCES,
  );
  assertEquals(read, {
    data: {
      client: "127.0.0.1",
      identity: null,
      user: "frank",
      time: "2000-10-10T08:25:36.000Z",
      method: "HEAD",
      path: "/x",
      protocol: "HTTP/2",
      request: null,
      status: 304,
      bytes: null,
    },
  });
});

Deno.test("compileLogFormat() keeps a request that is none as it came", () => {
  const cases = [
    { request: "-", expected: null },
    { request: "", expected: "" },
    { request: String.raw`\x16\x03\x01\x02`, expected: String.raw`\x16\x03\x01\x02` },
    { request: "GET /old", expected: "GET /old" },
    { request: "quit", expected: "quit" },
  ];
  for (const { request, expected } of cases) {
    const read = combined(line({ request, answer: "400 -" }));
    assertEquals("data" in read && [read.data["method"], read.data["path"], read.data["request"]], [
      null,
      null,
      expected,
    ]);
  }
});

Deno.test("compileLogFormat() takes escaped bytes for text where they are UTF-8", () => {
  const cases = [
    [String.raw`\xd0\xb4\xd0\xb0`, "\u0434\u0430"],
    [String.raw`a\x22b`, 'a"b'],
    [String.raw`\xe4\xe5`, String.raw`\xe4\xe5`],
    [String.raw`\x00`, String.raw`\x00`],
  ];
  for (const [agent = "", expected] of cases) assertEquals(field({ agent }, "agent"), expected);
});

Deno.test("compileLogFormat() says where a combined line stops to be one, and quotes nothing of it", () => {
  const cases = [
    { read: combined(""), expected: "at character 1 must stand the client's address" },
    { read: combined("10.0.0.1 - -"), expected: "must stand the user" },
    {
      read: combined(line({ time: "31/Feb/2015:10:05:03 +0000" })),
      expected: "at character 15 must stand a time such",
    },
    {
      read: combined(line({ time: "17/Mai/2015:10:05:03 +0000" })),
      expected: "at character 15 must stand a time such",
    },
    { read: combined(line({ answer: "200" })), expected: "the status and the number of bytes" },
    { read: combined(line({}).slice(0, -1)), expected: "the agent in quotes" },
    { read: combined(`${line({})} 0.7`), expected: "the end of the line" },
    { read: combined(line({ agent: "a\0" })), expected: "U+0000" },
  ];
  for (const { read, expected } of cases) {
    const reason = "reason" in read ? read.reason : "none";
    assertStringIncludes(reason, expected);
    assertEquals(reason.includes("10.0.0.1"), false);
  }
});
