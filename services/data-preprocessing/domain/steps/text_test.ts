import { assertEquals } from "@std/assert";
import { cleanOne, mistakesIn, stepped } from "../testing/clean_one.ts";

Deno.test("trim() and case() change text and leave the rest", async () => {
  const record = { a: " \u00c4pfel\t", b: 7, c: null, d: ["X "] };
  const fields = ["a", "b", "c", "d", "missing"];
  assertEquals(await stepped({ step: "trim", fields }, record), { ...record, a: "\u00c4pfel" });
  assertEquals(await stepped({ step: "case", fields, to: "lower" }, record), {
    ...record,
    a: " \u00e4pfel\t",
  });
  assertEquals(await stepped({ step: "case", fields, to: "upper" }, record), {
    ...record,
    a: " \u00c4PFEL\t",
  });
});

const version = {
  step: "extract",
  field: "v",
  pattern: "(?P<major>[0-9]+)[.](?P<minor>[0-9]+)(?P<tag>-[a-z]+)?",
} as const;

Deno.test("extract() sets a field to each named group of the first place that matches", async () => {
  assertEquals(await stepped(version, { v: "v2.11-rc and 3.0", tag: "old" }), {
    v: "v2.11-rc and 3.0",
    major: "2",
    minor: "11",
    tag: "-rc",
  });
  assertEquals(await stepped(version, { v: "2.1" }), { v: "2.1", major: "2", minor: "1", tag: null });
});

Deno.test("extract() gives null, or quarantines, where nothing matches", async () => {
  const none = { major: null, minor: null, tag: null };
  assertEquals(await stepped(version, { v: "two" }), { v: "two", ...none });
  assertEquals(await stepped(version, { v: 2.1 }), { v: 2.1, ...none });
  const strict = { ...version, missing: "quarantine" } as const;
  assertEquals(await stepped(strict, { v: null }), { v: null, ...none });
  assertEquals(await stepped(strict, { v: "two" }), [`/v must match ${version.pattern}, not "two"`]);
});

Deno.test("extract() does not judge what is made of a field that failed", async () => {
  const cleaned = await cleanOne({
    steps: [{ step: "cast", fields: ["v"], to: "string" }, version],
    expectations: [{ expect: "not_null", fields: ["major"], action: "quarantine" }],
  }, { v: {} });
  assertEquals(cleaned.outcome === "quarantined" && cleaned.reasons.map(({ path }) => path), ["/v"]);
});

Deno.test("extract() takes linear time", async () => {
  const evil = { step: "extract", field: "v", pattern: "^(?P<all>(a+)+)$" } as const;
  const v = `${"a".repeat(20_000)}!`;
  assertEquals(await stepped(evil, { v }), { v, all: null });
});

Deno.test("extract() is refused without named groups, or with one that cannot be a field", () => {
  const steps = ["([0-9])", "(?P<constructor>x)", "(?=x)"].map((pattern) => ({
    step: "extract" as const,
    field: "v",
    pattern,
  }));
  assertEquals(mistakesIn({ steps }).map((text) => text.slice(0, 60)), [
    "/steps/0 has the pattern ([0-9]) without a named group: (?P<name>...)".slice(0, 60),
    '/steps/1 names the field "constructor", which cannot be used',
    '/steps/2 Cannot compile the pattern "(?=x)": error parsing regexp'.slice(0, 60),
  ]);
});
