import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { AppError } from "shared/errors.ts";
import { rowMajor } from "./given.ts";
import { createRowChecker, type InputPolicy } from "./row_checker.ts";

const signature: Signature = {
  task: "binary",
  entity: "customer",
  featureService: { name: "reorder", version: 1 },
  inputs: [
    { name: "orders.count", type: "number", nulls: "refuse" },
    { name: "orders.spend", type: "number", nulls: "as_trained" },
  ],
  output: "probability",
  classes: ["0", "1"],
};

const checker = (policy: Partial<InputPolicy> = {}) =>
  createRowChecker(signature, { notFinite: "refuse", unknown: "refuse", ...policy });

const pathsOf = (check: () => unknown) =>
  (assertThrows(check, AppError) as AppError).reasons.map(({ path }) => path);

Deno.test("rows() lays rows out in the signature's order, whatever the order of the names", () => {
  const { rows, numbers } = checker().rows([
    { "orders.spend": 2.5, "orders.count": 1 },
    { "orders.count": 3, "orders.spend": true },
  ]);
  assertEquals([...numbers], [1, 2.5, 3, 1]);
  assertEquals(rows, 2);
});

Deno.test("rows() and columns() read the same values alike", () => {
  const rows = checker().rows([{ "orders.count": 1, "orders.spend": 2 }, { "orders.count": 3 }]);
  const columns = checker().columns({ "orders.count": [1, 3], "orders.spend": [2, null] });
  assertEquals([...columns.numbers], [...rows.numbers]);
  assertEquals(columns.given, rows.given);
  assertEquals(columns.marks, rows.marks);
});

/** As many rows as are read in one pass, where they are numbers alone. */
const many = (change: (row: Record<string, unknown>, index: number) => void = () => {}) =>
  Array.from({ length: 40 }, (_, index) => {
    const row: Record<string, unknown> = { "orders.count": index, "orders.spend": index / 10 };
    change(row, index);
    return row;
  });

const asColumns = (rows: readonly Record<string, unknown>[]) =>
  Object.fromEntries(
    signature.inputs.map(({ name }) => [name, rows.map((row) => row[name])]),
  );

const asMatrix = (rows: readonly Record<string, unknown>[]) =>
  rows.flatMap((row) => signature.inputs.map(({ name }) => row[name] as FeatureValue));

/** The same rows by each of the ways in which a caller may give them. */
const read = (rows: readonly Record<string, unknown>[]) => [
  checker().rows(rows),
  checker().columns(asColumns(rows)),
  checker().matrix(asMatrix(rows), rows.length),
];

Deno.test("many rows of numbers are read as few are: their float32, what was given, no marks", () => {
  const rows = many();
  for (const { numbers, given, marks, rows: count } of read(rows)) {
    assertEquals([...numbers], asMatrix(rows).map((value) => Math.fround(value as number)));
    assertEquals<FeatureValue[]>([...rowMajor(given)], asMatrix(rows));
    assertEquals([marks.size, count], [0, 40]);
  }
  const turned = rows.map((row) => Object.fromEntries(Object.entries(row).reverse()));
  assertEquals([...rowMajor(checker().rows(turned).given)], [...rowMajor(checker().rows(rows).given)]);
});

Deno.test("many rows are read as few are where one value is no number: missing, a flag", () => {
  const rows = many((row, index) => {
    if (index === 37) row["orders.spend"] = null;
    if (index === 38) row["orders.spend"] = true;
  });
  for (const { numbers, given, marks } of read(rows)) {
    assertEquals([...numbers.slice(74)], [37, NaN, 38, 1, 39, Math.fround(3.9)]);
    assertEquals<FeatureValue[]>([...rowMajor(given)].slice(74), [37, null, 38, true, 39, 3.9]);
    assertEquals([...marks], [[37, { "orders.spend": "MISSING" }]]);
  }
});

Deno.test("a mistake in many rows is told by its path, as in few", () => {
  const large = many((row, index) => index === 38 && (row["orders.count"] = 1e39));
  assertEquals(pathsOf(() => checker().rows(large)), ["/rows/38/orders.count"]);
  assertEquals(pathsOf(() => checker().columns(asColumns(large))), ["/columns/orders.count/38"]);
  assertEquals(pathsOf(() => checker().matrix(asMatrix(large), 40)), ["/rows/38/orders.count"]);
  assertEquals(pathsOf(() => checker().matrix(Float32Array.from(asMatrix(large) as number[]), 40)), [
    "/rows/38/orders.count",
  ]);
  const unknown = many((row, index) => index === 39 && (row["orders.spnd"] = 1));
  assertEquals(pathsOf(() => checker().rows(unknown)), ["/rows/39/orders.spnd"]);
  const without = many((row, index) => index === 39 && delete row["orders.count"]);
  assertEquals(pathsOf(() => checker().rows(without)), ["/rows/39/orders.count"]);
  const columns = asColumns(many());
  assertEquals(pathsOf(() => checker().columns({ ...columns, "orders.spnd": [] })), [
    "/columns/orders.spnd",
    "/columns/orders.spnd",
  ]);
  assertEquals(pathsOf(() => checker().columns({ ...columns, "orders.spend": [1] })), [
    "/columns/orders.spend",
  ]);
});

Deno.test("rows() makes NaN of what is missing where the model was trained on missing values, and marks it", () => {
  const { numbers, marks } = checker().rows([
    { "orders.count": 1, "orders.spend": null },
    { "orders.count": 1, "orders.spend": 1 },
    { "orders.count": 1 },
  ]);
  assert(Number.isNaN(numbers[1]) && Number.isNaN(numbers[5]));
  assertEquals([...marks], [[0, { "orders.spend": "MISSING" }], [2, { "orders.spend": "MISSING" }]]);
});

Deno.test("rows() lists every mistake of every row with its path", () => {
  const paths = pathsOf(() =>
    checker().rows([
      { "orders.spend": 1 },
      { "orders.count": 1e39, "orders.spend": "many" },
      { "orders.count": 1, "orders.spnd": 1 },
      17,
    ])
  );
  assertEquals(paths, [
    "/rows/0/orders.count",
    "/rows/1/orders.count",
    "/rows/1/orders.spend",
    "/rows/2/orders.spnd",
    "/rows/3",
  ]);
});

Deno.test("rows() refuses lists and objects as values, however deep", () => {
  const deep = JSON.parse("[".repeat(100_000) + "]".repeat(100_000));
  for (const [value, told] of [[deep, "a list"], [{ deep }, "an object"]] as const) {
    const refused = assertThrows(
      () => checker().rows([{ "orders.count": 1, "orders.spend": value }]),
      AppError,
    );
    const message = `must be a number within float32, not ${told}`;
    assertEquals(refused.reasons, [{ path: "/rows/0/orders.spend", message }]);
  }
});

Deno.test("columns() lists columns that are unknown, no lists or of another length", () => {
  const paths = pathsOf(() =>
    checker().columns({ "orders.count": [1, 2], "orders.spend": [1], "orders.spnd": [1, 2] })
  );
  assertEquals(paths, ["/columns/orders.spend", "/columns/orders.spnd"]);
  assertEquals(pathsOf(() => checker().columns({ "orders.count": [1], "orders.spend": 3 })), [
    "/columns/orders.spend",
  ]);
});

Deno.test("columns() tells once of a column that is not there, beside the mistakes in the others", () => {
  assertEquals(pathsOf(() => checker().columns({ "orders.spend": [1, "many", 3] })), [
    "/columns",
    "/columns/orders.spend/1",
  ]);
  assertEquals(pathsOf(() => checker().columns({ "orders.count": ["few"], "orders.spend": [1, 2] })), [
    "/columns/orders.count",
    "/columns/orders.count/0",
  ]);
});

Deno.test("rows() says how many mistakes there are where it lists the first of them", () => {
  const rows = Array.from({ length: 150 }, () => ({ "orders.count": "few" }));
  const refused = assertThrows(() => checker().rows(rows), AppError);
  assertEquals(refused.reasons.length, 100);
  assertStringIncludes(refused.message, "150 fields are wrong, the first 100");
});

Deno.test("what is no finite float32 is refused, or missing and marked where that is declared", () => {
  for (const value of [1e39, -Infinity]) {
    const row = { "orders.count": 1, "orders.spend": value };
    assertEquals(pathsOf(() => checker().rows([row])), ["/rows/0/orders.spend"]);
    const { numbers, marks } = checker({ notFinite: "missing" }).rows([row]);
    assert(Number.isNaN(numbers[1]));
    assertEquals(marks.get(0), { "orders.spend": "NOT_FINITE" });
    // Where the model takes no missing values, the declaration changes nothing.
    assertEquals(pathsOf(() => checker({ notFinite: "missing" }).rows([{ "orders.count": value }])), [
      "/rows/0/orders.count",
    ]);
  }
});

Deno.test("fields that the model does not know are passed over where that is declared", () => {
  const { numbers } = checker({ unknown: "ignore" }).rows([{
    "orders.count": 1,
    "orders.spend": 2,
    other: "x",
  }]);
  assertEquals([...numbers], [1, 2]);
});

Deno.test("matrix() takes values in the order of the signature, and its caller says where mistakes stand", () => {
  assertEquals([...checker().matrix([1, 2, 3, 4], 2).numbers], [1, 2, 3, 4]);
  const tell = (row: number, name: string, message: string) => ({
    path: `/lines/${row}`,
    message: name + message,
  });
  assertEquals(pathsOf(() => checker().matrix([1, 2, null, 4], 2, tell)), ["/lines/1"]);
  assertEquals(pathsOf(() => checker().matrix([1, 2, null, 4], 2)), ["/rows/1/orders.count"]);
});

const withCategories: Signature = {
  ...signature,
  inputs: [
    {
      name: "customer.country",
      type: "category",
      nulls: "as_trained",
      vocabulary: ["FR", "7"],
      unseen: "as_other",
    },
    { name: "orders.count", type: "number", nulls: "refuse" },
    {
      name: "customer.plan",
      type: "category",
      nulls: "refuse",
      vocabulary: ["free", "paid"],
      unseen: "refuse",
    },
  ],
};
const texts = createRowChecker(withCategories, { notFinite: "refuse", unknown: "refuse" });

Deno.test("rows() lays categories out beside the numbers, and marks those that training has not seen", () => {
  const checked = texts.rows([
    { "customer.country": "FR", "orders.count": 1, "customer.plan": "free" },
    { "customer.country": 7, "orders.count": 2, "customer.plan": "paid" },
    { "customer.country": "DE", "orders.count": 3, "customer.plan": "paid" },
    { "customer.country": null, "orders.count": 4, "customer.plan": "free" },
  ]);
  assertEquals([...checked.numbers], [1, 2, 3, 4]);
  assertEquals(checked.categories, ["FR", "free", "7", "paid", "DE", "paid", "", "free"]);
  assertEquals([...checked.marks], [[2, { "customer.country": "UNSEEN" }], [3, {
    "customer.country": "MISSING",
  }]]);
  assertEquals(rowMajor(checked.given).slice(0, 3), ["FR", 1, "free"]);
});

Deno.test("rows() refuses a category with U+0000 or half a surrogate pair, an unseen one where declared, and others than texts", () => {
  const plan = (value: unknown) => ({ "customer.country": "FR", "orders.count": 1, "customer.plan": value });
  for (const value of ["gold", "free\0", "\ud800", {}, [], ""]) {
    assertEquals(pathsOf(() => texts.rows([plan(value)])), ["/rows/0/customer.plan"]);
  }
  const country = { "customer.country": "FR\0", "orders.count": 1, "customer.plan": "free" };
  assertEquals(pathsOf(() => texts.rows([country])), ["/rows/0/customer.country"]);
});
