import { assertEquals } from "@std/assert";
import type { Cleaned } from "./cleaning.ts";
import { type Body, cleanOne, mistakesIn } from "./testing/clean_one.ts";

/** What becomes of a record, without what only names it. */
async function clean(body: Body, record: Record<string, unknown>) {
  const { origin: _origin, id: _id, ...cleaned } = await cleanOne(body, record);
  return cleaned;
}

async function dataOf(body: Body, record: Record<string, unknown>) {
  const result = await clean(body, record);
  return result.outcome === "clean" ? result.data : result;
}

Deno.test("compileCleaning() does its steps in order, and leaves the record as it was", async () => {
  const record = {
    InvoiceNo: " C536379 ",
    Quantity: "-1",
    UnitPrice: "27.5",
    CustomerID: "14527.0",
    InvoiceDate: "2010-12-01 09:41:00",
    Extra: 1,
  };
  const before = structuredClone(record);
  const body: Body = {
    steps: [
      { step: "trim", fields: ["InvoiceNo"] },
      {
        step: "rename",
        fields: { InvoiceNo: "invoice", Quantity: "quantity", UnitPrice: "price", CustomerID: "customer" },
      },
      { step: "cast", fields: ["quantity", "customer"], to: "integer" },
      { step: "cast", fields: ["price"], to: "number" },
      { step: "cast", fields: ["InvoiceDate"], to: "instant" },
      { step: "derive", field: "cancelled", expression: 'e.invoice.startsWith("C")' },
      { step: "derive", field: "amount", expression: "e.quantity * e.price" },
      { step: "fill", fields: { country: "Unspecified" } },
      { step: "filter", expression: "e.price > 0", reason: "no price" },
      { step: "select", fields: ["invoice", "customer", "amount", "cancelled", "country", "InvoiceDate"] },
    ],
  };
  assertEquals(await dataOf(body, record), {
    invoice: "C536379",
    customer: 14527,
    amount: -27.5,
    cancelled: true,
    country: "Unspecified",
    InvoiceDate: "2010-12-01T09:41:00.000Z",
  });
  assertEquals(record, before);
});

Deno.test("compileCleaning() casts what it can and tells what a value would have had to be", async () => {
  const cast = async (to: "string" | "integer" | "number" | "boolean" | "instant", a: unknown) => {
    const result = await clean({ steps: [{ step: "cast", fields: ["a"], to }] }, { a });
    return result.outcome === "clean" ? result.data["a"] : result;
  };
  assertEquals([await cast("integer", "17850.0"), await cast("integer", "-3"), await cast("integer", 4)], [
    17850,
    -3,
    4,
  ]);
  assertEquals([await cast("number", "1e-3"), await cast("number", ".5"), await cast("string", 17)], [
    0.001,
    0.5,
    "17",
  ]);
  assertEquals([await cast("boolean", "Yes"), await cast("boolean", 0)], [true, false]);
  assertEquals((await cast("boolean", "constructor") as Cleaned).outcome, "quarantined");
  assertEquals([await cast("integer", ""), await cast("number", null)], [null, null]);
  assertEquals(await cast("integer", "17850.5"), {
    outcome: "quarantined",
    reasons: [{
      path: "/a",
      message: 'must be an integer such as 17850 or 17850.0, within 2^53, not "17850.5"',
    }],
    blocked: false,
  });
  for (
    const [to, value] of [
      ["integer", "9007199254740993"],
      ["number", "1,5"],
      ["number", "Infinity"],
      ["boolean", "maybe"],
      ["instant", "2011-02-30"],
      ["string", {}],
    ] as const
  ) assertEquals((await cast(to, value) as Cleaned).outcome, "quarantined", `${to} ${value}`);
});

Deno.test("compileCleaning() tells a mistake once, not also in what is made of it", async () => {
  const result = await clean({
    steps: [
      { step: "cast", fields: ["quantity", "price"], to: "number" },
      { step: "derive", field: "amount", expression: "e.quantity * e.price" },
      { step: "filter", expression: "e.amount > 0", reason: "no amount" },
    ],
    expectations: [
      { expect: "not_null", fields: ["amount", "customer"], action: "quarantine" },
      { expect: "range", field: "quantity", min: 1, action: "quarantine" },
      { expect: "row", expression: "e.amount < 10", message: "is too much", action: "quarantine" },
      { expect: "set", field: "country", values: ["France"], action: "quarantine" },
    ],
  }, { quantity: "six", price: "2.5", country: "Spain" });
  assertEquals(result, {
    outcome: "quarantined",
    reasons: [
      { path: "/quantity", message: 'must be a number such as 2.55 or 1e-3, not "six"' },
      { path: "/customer", message: "must not be null" },
      { path: "/country", message: 'must be one of ["France"], not "Spain"' },
    ],
    blocked: false,
  });
});

Deno.test("compileCleaning() filters with the reason, null counting as no", async () => {
  const body: Body = { steps: [{ step: "filter", expression: "e.quantity > 0", reason: "nothing sold" }] };
  assertEquals(await clean(body, { quantity: 0 }), { outcome: "filtered", reason: "nothing sold" });
  assertEquals(await clean(body, {}), { outcome: "filtered", reason: "nothing sold" });
  assertEquals((await clean(body, { quantity: "x" })).outcome, "quarantined");
  assertEquals((await clean(body, { quantity: 1 })).outcome, "clean");
});

Deno.test("compileCleaning() warns where an expectation says so", async () => {
  const result = await clean({
    expectations: [
      { expect: "pattern", field: "code", pattern: "^[0-9]{5}", action: "warn" },
      { expect: "range", field: "price", max: 10, action: "warn" },
    ],
  }, { code: "POST", price: 18 });
  assertEquals(result, {
    outcome: "clean",
    data: { code: "POST", price: 18 },
    warnings: [
      { path: "/code", message: 'must match ^[0-9]{5}, not "POST"' },
      { path: "/price", message: "must be at most 10, not 18" },
    ],
  });
});

Deno.test("compileCleaning() leaves null to not_null", async () => {
  const expectations: Body["expectations"] = [
    { expect: "range", field: "a", min: 1, action: "quarantine" },
    { expect: "set", field: "a", values: [1], action: "quarantine" },
    { expect: "pattern", field: "a", pattern: "x", action: "quarantine" },
    { expect: "row", expression: "e.a > 1", message: "must be more", action: "quarantine" },
  ];
  assertEquals((await clean({ expectations }, { a: null })).outcome, "clean");
  assertEquals((await clean({ expectations }, {})).outcome, "clean");
  const wrong = await clean({ expectations }, { a: 0 });
  assertEquals(wrong.outcome === "quarantined" && wrong.reasons.map(({ message }) => message), [
    "must be at least 1, not 0",
    "must be one of [1], not 0",
    "must be a text, not 0",
    "must be more",
  ]);
});

Deno.test("compileCleaning() renames fields that change places", async () => {
  assertEquals(
    await dataOf({ steps: [{ step: "rename", fields: { a: "b", b: "a", missing: "c" } }] }, { a: 1, b: 2 }),
    { b: 1, a: 2 },
  );
});

Deno.test("compileCleaning() lists every mistake of a definition with its place", () => {
  assertEquals(
    mistakesIn({
      steps: [
        { step: "derive", field: "x", expression: "e.a +" },
        { step: "select", fields: ["a", "b"] },
        { step: "trim", fields: ["c"] },
        { step: "rename", fields: { a: "d", b: "d" } },
        { step: "filter", expression: "e.a + 1", reason: "never" },
        { step: "fill", fields: { constructor: 1 } },
      ],
      expectations: [
        { expect: "pattern", field: "a", pattern: "(?=x)", action: "warn" },
        { expect: "range", field: "a", min: 3, max: 1, action: "warn" },
        { expect: "range", field: "a", action: "warn" },
        { expect: "row", expression: "e.zz > 1 && f.x", message: "no", action: "warn" },
      ],
    }).map((text) => text.slice(0, 75)),
    [
      '/steps/0 Cannot compile the expression "e.a +": Unexpected token: EOF',
      '/steps/2 reads the field "c", which is not there: a select before it left a',
      '/steps/3 renames two fields to "d"',
      '/steps/4 Cannot compile the expression "e.a + 1": it must give true or fals',
      '/steps/5 names the field "constructor", which cannot be used',
      '/expectations/0 Cannot compile the pattern "(?=x)": error parsing regexp: i',
      "/expectations/1 has the min 3 above the max 1",
      "/expectations/2 must have a min or a max",
      '/expectations/3 Cannot compile the expression "e.zz > 1 && f.x": Unknown va',
    ],
  );
});

Deno.test("compileCleaning() quarantines what would not fit into a message after its steps", async () => {
  const body: Body = { steps: [{ step: "derive", field: "twice", expression: "e.text + e.text" }] };
  const reasons = [{ path: "", message: "has more than 900000 bytes after its steps" }];
  const outcome = async (text: string) => (await clean(body, { text })).outcome;
  assertEquals([await outcome("x".repeat(299_000)), await outcome("\u00e4".repeat(149_000))], [
    "clean",
    "clean",
  ]);
  assertEquals(await clean(body, { text: "x".repeat(301_000) }), {
    outcome: "quarantined",
    reasons,
    blocked: false,
  });
  assertEquals(await clean(body, { text: "\u00e4".repeat(151_000) }), {
    outcome: "quarantined",
    reasons,
    blocked: false,
  });
});
