import { assert, assertEquals, assertThrows } from "@std/assert";
import { AppError } from "../errors.ts";
import { compileExpression } from "./cel.ts";

const record = {
  quantity: 6,
  price: 2.55,
  code: "85123A",
  cancelled: false,
  discount: null,
  lines: [1, 2, 3],
  position: 1,
  at: "2010-12-31T08:26:00.000Z",
  customer: { id: 17850 },
  "unit price": 4,
};

const value = (source: string) =>
  compileExpression(source, { variables: { e: "map" } }).evaluate({ e: record });
const refusal = (source: string, gives: "boolean" | "value" = "value") =>
  assertThrows(() => compileExpression(source, { variables: { e: "map" }, gives }), AppError).message;
const failure = (source: string) => assertThrows(() => value(source), AppError).message;

Deno.test("compileExpression() treats every number as a double", () => {
  assertEquals(value("e.quantity * e.price"), 6 * 2.55);
  assertEquals(value("e.quantity * 2 + 1"), 13);
  assertEquals(value("1 / 4"), 0.25);
  assertEquals(value("-e.quantity + -3"), -9);
  assertEquals(value("e.quantity == 6 && e.quantity >= 6u && e.quantity != 7"), true);
  assertEquals(value("e.quantity % 4"), 2);
  assertEquals(value("e.quantity in [1, 6]"), true);
  assertEquals(value("size(e.lines) * 1.5 == 4.5 ? size(e.code) : 0"), 6);
  assertEquals(value("e.lines.size() / 2"), 1.5);
  assertEquals(value("int(e.price) + 1"), 3);
  assertEquals(value("e.lines.map(x, x * 2)"), [2, 4, 6]);
  assertEquals(value("e.lines.filter(x, x > size(e.lines) - 1)"), [3]);
  assertEquals(value("e.lines.map(x, size(e.lines))"), [3, 3, 3]);
  assertEquals(value("e.quantity + 9007199254740991") !== null, true);
});

Deno.test("compileExpression() reads lists and fields of any name", () => {
  assertEquals(value("e.lines[0] + e.lines[e.position]"), 3);
  assertEquals(value('["a", "b"][1]'), "b");
  assertEquals(value('e["unit price"] * 2'), 8);
  assertEquals(value("e.customer.id"), 17850);
  assertEquals(value("e.lines[9]"), null);
});

Deno.test("compileExpression() gives null for missing fields and for what is computed from null", () => {
  assertEquals(value("e.nothing"), null);
  assertEquals(value("e.nothing.deeper"), null);
  assertEquals(value("e.constructor"), null);
  assertEquals(value("e.nothing == null && e.discount == null && e.price != null"), true);
  for (
    const source of [
      "e.nothing * 2",
      "e.discount > 3",
      "!(e.discount > 3)",
      "-e.discount",
      "size(e.discount)",
      'e.discount.startsWith("a")',
      "e.discount.exists(x, x > 1)",
      "e.discount ? 1 : 2",
      "e.quantity > 1 && e.discount",
      "has(e.nothing.deeper)",
    ]
  ) assertEquals(value(source), null, source);
  assertEquals(value("e.quantity > 100 && e.discount > 3"), false);
  assertEquals(value("e.quantity == 6 || e.discount > 3"), true);
  assertEquals(value("has(e.discount)"), true);
  assertEquals(value("has(e.nothing)"), false);
  assertEquals(value("e.discount == null ? 0 : e.discount"), 0);
  assertEquals(value('e.quantity > 100 ? "many" : null'), null);
});

Deno.test("compileExpression() gives null for a number that is not finite", () => {
  assertEquals(value("1 / 0"), null);
  assertEquals(value("e.quantity % 0"), null);
});

Deno.test("compileExpression() runs matches on a linear-time engine", () => {
  assertEquals(value('e.code.matches("^[0-9]{5}[A-Z]?$")'), true);
  assertEquals(value('e.code.matches("^[A-Z]")'), false);
  const evil = compileExpression('e.code.matches("^(a+)+$")', { variables: { e: "map" } });
  assertEquals(evil.evaluate({ e: { code: `${"a".repeat(5_000)}!` } }), false);
  assert(refusal('e.code.matches("(?=a)")').includes('Cannot compile the pattern "(?=a)"'));
  assert(refusal("e.code.matches(e.code)").includes("must be written as text"));
});

Deno.test("compileExpression() reads times in UTC", () => {
  assertEquals(value("timestamp(e.at).getHours() + 1"), 9);
  assertEquals(value("timestamp(e.at).getDayOfYear()"), 364);
  assertEquals(value("timestamp(e.at)"), "2010-12-31T08:26:00.000Z");
  assertEquals(value('timestamp(e.at) + duration("1h")'), "2010-12-31T09:26:00.000Z");
});

Deno.test("compileExpression() refuses what it can see to be wrong", () => {
  assertEquals(
    refusal("f.spend > 1"),
    'Cannot compile the expression "f.spend > 1": Unknown variable: f',
  );
  assert(refusal("e.quantity = 1").includes("Unexpected character"));
  assert(refusal('1 + "a"').includes("no such overload: double + string"));
  assert(refusal("nothing(e.x)").includes("found no matching overload"));
  assert(refusal("e.x + 12345678901234567890").length > 0);
  assert(refusal("e.x + 9007199254740993").includes("larger than a double holds exactly"));
  assert(refusal("1 + 2", "boolean").includes("must give true or false, but gives a value of type double"));
  assert(refusal("type(e.x)").includes("cannot stand in JSON"));
  assert(refusal("cel.bind(a, e.x, a + a)").includes("cel.bind is not available"));
  assert(refusal("e.a.map(x, e.a.map(y, e.a.map(z, z)))").includes("nested 2 deep"));
  assert(refusal(`e.x + ${"1 + ".repeat(600)}1`).includes("at most 2000"));
  assert(refusal("e.x + cel").startsWith('Cannot compile the expression "e.x + cel": cel.bind'));
});

Deno.test("compileExpression() fails with a clear reason when the data does not fit", () => {
  assertEquals(
    failure("e.code * 2"),
    'Cannot evaluate the expression "e.code * 2": no such overload: dyn<string> * double',
  );
  assert(failure('double("null")').includes("cannot convert to double"));
  const filter = compileExpression("e.quantity", { variables: { e: "map" }, gives: "boolean" });
  assert(
    assertThrows(() => filter.evaluate({ e: record }), AppError).message.includes("must give true or false"),
  );
});

Deno.test("compileExpression() survives the deepest expression that its length allows", () => {
  assertEquals(value(`${"!".repeat(1_900)}e.cancelled`), false);
});

Deno.test("compileExpression() tells which fields are read", () => {
  const expression = compileExpression('f.spend / f.orders + size(f["a b"]) + e.x.y', {
    variables: { f: "map", e: "map" },
  });
  assertEquals(expression.reads, { f: ["a b", "orders", "spend"], e: ["x"] });
});

const typed = (source: string) =>
  compileExpression(source, {
    variables: { e: "map" },
    fields: { e: { quantity: "double", code: "string", paid: "bool", "unit price": "double" } },
  });

Deno.test("compileExpression() refuses what the types of fields make wrong", () => {
  for (
    const source of [
      "e.quantity + e.code",
      'e.quantity.startsWith("a")',
      'e.quantity.matches("a")',
      'e["unit price"] > "a"',
      "e.code && e.paid",
      "e.code ? 1 : 2",
      "!e.quantity",
      "e.quantity.deeper",
      'e.quantity == "6"',
      'e.quantity in ["a"]',
      'size(e.lines) + 1 > 2 && e.unknown.map(x, x * e.code) == e.quantity + "a"',
    ]
  ) assertThrows(() => typed(source), AppError, "Cannot compile the expression", source);
  assertThrows(() => typed('e.quantity.matches("a")'), AppError, "'double.matches(string)'");
  assertThrows(
    () =>
      compileExpression("e.quantity", {
        variables: { e: "map" },
        fields: { e: { quantity: "double" } },
        gives: "boolean",
      }),
    AppError,
    "it must give true or false, but gives a value of type double",
  );
});

Deno.test("compileExpression() refuses nothing that null, an unknown field or another branch makes right", () => {
  for (
    const source of [
      "e.quantity == null || null != e.code",
      "e.quantity in [1, null] && e.code in [null]",
      "e.paid ? e.quantity : e.code",
      "e.paid ? e.quantity : null",
      "has(e.quantity) && has(e.unknown)",
      "e.quantity * e.unknown + size(e.code)",
      "e[e.code] + 1",
      'size(e) > 1 && "quantity" in e',
      "e.map(name, name) == [e.code]",
      "timestamp(e.code).getHours() > e.quantity",
      "e.unknown[e.quantity] > 1",
      "e.unknown.exists(e, e.code > 1)",
    ]
  ) typed(source);
});

Deno.test("compileExpression() tells what type the value has", () => {
  const gives = (source: string) => typed(source).gives;
  assertEquals([gives("e.quantity"), gives("size(e.unknown)"), gives("e.unknown * 2")], [
    "double",
    "double",
    "double",
  ]);
  assertEquals([gives('e.code + "x"'), gives("timestamp(e.code)")], ["string", "string"]);
  assertEquals([gives("e.paid && e.unknown"), gives("e.quantity > 1")], ["bool", "bool"]);
  assertEquals([gives("e.unknown"), gives("e.paid ? e.quantity : e.code"), gives("e")], [
    "dyn",
    "dyn",
    "map",
  ]);
  assertEquals([gives('e.code.matches("a") ? [e.code] : []'), gives('{"a": e.code}')], ["list", "map"]);
});
