import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { DataRecord } from "shared/contracts/envelope.ts";
import { AppError } from "shared/errors.ts";
import { createPrivacy } from "shared/privacy.ts";
import { protectRecord } from "./secrets.ts";
import { compileSource } from "./source.ts";

const compile = (body: Record<string, unknown>) =>
  compileSource({
    name: "orders",
    project: "shop",
    version: 1,
    body: { kind: "events", schema: {}, ...body },
  });

Deno.test("compileSource() refuses a duration that leaves the calendar", () => {
  assertThrows(() => compile({ knownAt: { delay: "P9999999D" } }), AppError, "knownAt/delay is P9999999D");
  for (const field of ["futureBound", "lateBound", "retention", "duplicateHorizon"]) {
    assertThrows(() => compile({ [field]: "P9999999D" }), AppError, `${field} is P9999999D`);
  }
});

Deno.test("compileSource() refuses secrets in what has to be read", () => {
  const refused = (body: Record<string, unknown>, why: string) =>
    assertThrows(() => compile(body), AppError, why);
  refused({ time: "at", secrets: { at: "hash" } }, "/at must not be in the field of the event time");
  refused({ time: "at", secrets: { "/at/x": "drop" } }, "/at/x must not be in the field of the event time");
  refused({ knownAt: { field: "told" }, secrets: { told: "hash" } }, "in the field of the known-at time");
  refused({ id: ["order", "email"], secrets: { email: "drop" } }, "/email must not be dropped");
  compile({ id: ["email"], secrets: { email: "hash" } });
});

Deno.test("compileSource() takes a format of lines for logs only, and only one that works", () => {
  assertThrows(() => compile({ format: "combined" }), AppError, "only logs have a format of lines");
  assertThrows(() => compile({ kind: "logs", format: { pattern: "(?P<a>" } }), AppError, "pattern");
  assertEquals(compile({ kind: "logs" }).lines?.format, "json");
});

const privacy = createPrivacy("a key of the tests that is long enough");

/** What is said of a record as it came, and of the same record when it has been protected. */
function said(body: Record<string, unknown>, data: DataRecord): { before: string[]; after: string[] } {
  const source = compile(body);
  const texts = (reasons: { path: string; message: string }[]) =>
    reasons.map(({ path, message }) => `${path} ${message}`);
  return {
    before: texts(source.check(data)),
    after: texts(source.checkProtected(protectRecord(source, data, privacy))),
  };
}

const SECRETS = { email: "hash", card: "drop" };

Deno.test("Source.check() shows no secret, nor what holds one", () => {
  const schema = {
    properties: {
      email: { type: "integer" },
      card: { additionalProperties: false, type: "object" },
      items: { maxItems: 0 },
      status: { enum: ["open"] },
    },
    not: { required: ["email"] },
  };
  const data = { email: "ann@example.org", card: { "4111": 1 }, items: [1], status: "shut" };
  const { before } = said({ schema, secrets: SECRETS }, data);
  assertEquals(before.sort(), [
    " must NOT be valid",
    "/card/4111 is not a field of this source",
    "/email must be integer",
    "/items must NOT have more than 0 items, not [1]",
    '/status must be one of ["open"], not "shut"',
  ]);
  assertEquals(compile({ schema, secrets: SECRETS }).withoutNames("/card/4111"), "/card");
});

Deno.test("Source.checkProtected() says nothing against hashes and what was dropped", () => {
  const schema = {
    type: "object",
    additionalProperties: false,
    required: ["email", "card", "quantity"],
    minProperties: 3,
    properties: {
      email: { type: "string", maxLength: 20, pattern: "@" },
      card: { type: "string" },
      quantity: { type: "integer" },
    },
  };
  const good = { email: "ann@example.org", card: "4111", quantity: 1 };
  assertEquals(said({ schema, secrets: SECRETS }, good), { before: [], after: [] });
  const { after } = said({ schema, secrets: SECRETS }, { ...good, quantity: "one", more: 1 });
  assertEquals(after, ["/more is not a field of this source", '/quantity must be integer, not "one"']);
});

Deno.test("Source.checkProtected() still misses a hashed field, and sees what came as null", () => {
  const schema = { required: ["email"], properties: { email: { type: "string" } } };
  assertEquals(said({ schema, secrets: SECRETS }, {}).after, ["/email must be there"]);
  assertEquals(said({ schema, secrets: SECRETS }, { email: null }).after, ["/email must be string"]);
});

Deno.test("Source.checkProtected() follows references, parts and items to the secrets", () => {
  const schema = {
    $ref: "#/$defs/order",
    $defs: {
      order: {
        allOf: [{ required: ["customer"] }],
        properties: {
          customer: { $ref: "#/$defs/customer" },
          items: {
            items: { required: ["note"], properties: { note: { maxLength: 3 }, n: { type: "integer" } } },
          },
        },
      },
      customer: { required: ["email", "name"], properties: { email: { maxLength: 5 } } },
    },
  };
  const secrets = { "/customer/email": "hash", "/items/*/note": "drop" };
  const good = { customer: { email: "a@b.c", name: "Ann" }, items: [{ note: "abc", n: 1 }] };
  assertEquals(said({ schema, secrets }, good), { before: [], after: [] });
  const bad = { customer: { email: "a@b.c" }, items: [{ note: "abc", n: "x" }] };
  assertEquals(said({ schema, secrets }, bad).after.sort(), [
    "/customer/name must be there",
    '/items/0/n must be integer, not "x"',
  ]);
});

Deno.test("compileSource() comes to an end with a schema that refers to itself", () => {
  const schema = { $ref: "#" };
  assertEquals(compile({ schema, secrets: SECRETS }).secrets.length, 2);
});

Deno.test("Source.checkProtected() leaves out what only the whole record could tell", () => {
  const schema = {
    anyOf: [{ required: ["phone"] }, { properties: { email: { pattern: "@" } }, required: ["email"] }],
    if: { properties: { email: { const: "x" } } },
    then: { required: ["never"] },
    properties: { n: { oneOf: [{ type: "integer" }, { type: "null" }] } },
  };
  assertEquals(said({ schema, secrets: SECRETS }, { email: "ann@example.org", n: 1 }), {
    before: [],
    after: [],
  });
  assertEquals(said({ schema, secrets: SECRETS }, { email: "a@b", n: "x" }).after.length > 0, true);
});

Deno.test("Source.checkProtected() knows what was dropped from arrays", () => {
  const schema = { properties: { tags: { minItems: 3, items: { type: "string", maxLength: 3 } } } };
  for (const policy of ["drop", "hash"]) {
    const { before, after } = said({ schema, secrets: { "/tags/*": policy } }, { tags: ["abc", "def"] });
    assertEquals(before, ["/tags must NOT have fewer than 3 items"]);
    assertEquals(after, before);
  }
});

Deno.test("Source.readTime reads the event time by the source's own format, in its zone and language", () => {
  const { readTime } = compileSource({
    ...{ name: "orders", project: "shop", version: 1 },
    body: {
      kind: "events",
      schema: {},
      time: "Datum",
      timeFormat: { format: "d. LLLL yyyy HH:mm", zone: "Europe/Berlin", locale: "de" },
    },
  });
  assertEquals(readTime.read(" 3. M\u00e4rz 2011 08:26 "), "2011-03-03T07:26:00.000Z");
  assertEquals(readTime.read("2011-03-03T07:26:00Z"), undefined);
  assertEquals(readTime.read(1_300_000_000_000), undefined);
  assertEquals(readTime.read(readTime.example) !== undefined, true);
});

Deno.test("compileSource() refuses a format of times that can't be used, or has nothing to read", () => {
  const refusal = (body: Record<string, unknown>) =>
    assertThrows(
      () =>
        compileSource({
          ...{ name: "orders", project: "shop", version: 1 },
          body: { kind: "events", schema: {}, ...body },
        }),
      AppError,
    ).message;
  assertStringIncludes(refusal({ time: "at", timeFormat: { format: "HH:mm" } }), "timeFormat has the format");
  assertStringIncludes(
    refusal({ time: "at", timeFormat: { format: "yyyy", zone: "Mars" } }),
    'the zone "Mars"',
  );
  assertStringIncludes(refusal({ timeFormat: { format: "yyyy-MM-dd" } }), "there is none");
});
