import { assertEquals, assertStringIncludes } from "@std/assert";
import { compileLogFormat } from "./log_formats.ts";

function reader(format: "rfc3164" | "rfc5424") {
  const read = compileLogFormat(format);
  return (line: string, arrivedAt = "2026-06-15T12:00:00.000Z"): Record<string, unknown> | string => {
    const result = read(line, { arrivedAt });
    return "data" in result ? result.data : result.reason;
  };
}
const rfc3164 = reader("rfc3164");
const rfc5424 = reader("rfc5424");

const timeOf = (line: string, arrivedAt: string) => {
  const read = rfc3164(line, arrivedAt);
  return typeof read === "string" ? read : read["time"];
};

Deno.test("compileLogFormat() reads RFC 3164 with and without priority, program and process", () => {
  assertEquals(rfc3164("<34>Oct  1 22:14:15 mymachine su[97]: 'su root' failed on /dev/pts/8"), {
    facility: 4,
    severity: 2,
    time: "2025-10-01T22:14:15.000Z",
    host: "mymachine",
    app: "su",
    process_id: "97",
    message: "'su root' failed on /dev/pts/8",
  });
  assertEquals(rfc3164("Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; user=root "), {
    facility: null,
    severity: null,
    time: "2026-06-14T15:16:01.000Z",
    host: "combo",
    app: "sshd(pam_unix)",
    process_id: "19939",
    message: "authentication failure; user=root ",
  });
  assertEquals(rfc3164("2026-06-14T15:16:01.123456+02:00 combo last message repeated 2 times"), {
    facility: null,
    severity: null,
    time: "2026-06-14T13:16:01.123Z",
    host: "combo",
    app: null,
    process_id: null,
    message: "last message repeated 2 times",
  });
});

Deno.test("compileLogFormat() gives RFC 3164 the year in which it was written", () => {
  const cases = [
    {
      line: "Dec 31 23:59:59 h m",
      arrivedAt: "2026-01-01T00:00:01.000Z",
      expected: "2025-12-31T23:59:59.000Z",
    },
    {
      line: "Jan  1 00:00:01 h m",
      arrivedAt: "2025-12-31T23:59:59.000Z",
      expected: "2026-01-01T00:00:01.000Z",
    },
    {
      line: "Jan  1 00:00:01 h m",
      arrivedAt: "2026-01-01T00:00:02.000Z",
      expected: "2026-01-01T00:00:01.000Z",
    },
    {
      line: "Jun 17 00:00:00 h m",
      arrivedAt: "2026-06-15T12:00:00.000Z",
      expected: "2025-06-17T00:00:00.000Z",
    },
    {
      line: "Feb 29 12:00:00 h m",
      arrivedAt: "2024-02-29T12:00:05.000Z",
      expected: "2024-02-29T12:00:00.000Z",
    },
    {
      line: "Feb 29 12:00:00 h m",
      arrivedAt: "2026-03-01T00:00:00.000Z",
      expected: "2024-02-29T12:00:00.000Z",
    },
  ];
  for (const { line, arrivedAt, expected } of cases) assertEquals(timeOf(line, arrivedAt), expected);
});

Deno.test("compileLogFormat() reads RFC 5424 with structured data, nils and a byte order mark", () => {
  assertEquals(
    rfc5424(
      "<165>1 2003-10-11T22:14:15.003456-07:00 host.example.com evntslog - ID47 " +
        String.raw`[exampleSDID@32473 iut="3" eventSource="A \"b\" \] \\"][meta ip="1" ip="2"] ` +
        "\uFEFF Hello",
    ),
    {
      facility: 20,
      severity: 5,
      time: "2003-10-12T05:14:15.003Z",
      host: "host.example.com",
      app: "evntslog",
      process_id: null,
      message_id: "ID47",
      structured: {
        "exampleSDID@32473": { iut: "3", eventSource: 'A "b" ] \\' },
        meta: { ip: ["1", "2"] },
      },
      message: " Hello",
    },
  );
  assertEquals(rfc5424("<0>1 - - - - - -"), {
    facility: 0,
    severity: 0,
    time: null,
    host: null,
    app: null,
    process_id: null,
    message_id: null,
    structured: null,
    message: null,
  });
});

Deno.test("compileLogFormat() says where a line of syslog stops to be one", () => {
  const cases = [
    {
      read: rfc3164("<192>Oct  1 22:14:15 h m"),
      expected: "at character 1 must stand a priority from <0> to <191>",
    },
    {
      read: rfc3164("<34>Feb 30 22:14:15 h m"),
      expected: "at character 5 must stand a time such as Oct 11 22:14:15",
    },
    { read: rfc3164("Oct 11 22:14:15"), expected: "at character 1 must stand a time" },
    { read: rfc5424("no"), expected: "at character 1 must stand a priority" },
    { read: rfc5424("<1>2 - - - - - -"), expected: "at character 4 must stand the version 1" },
    { read: rfc5424("<1>1 2003-02-30T00:00:00Z - - - - -"), expected: "at character 6 must stand a time" },
    { read: rfc5424('<1>1 - - - - - [a b="c]'), expected: "at character 18 must stand a parameter" },
    { read: rfc5424('<1>1 - - - - - [a b="c"]m'), expected: "at character 25 must stand a space" },
  ];
  for (const { read, expected } of cases) assertStringIncludes(String(read), expected);
});
