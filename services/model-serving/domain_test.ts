import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Signature } from "shared/contracts/signature.ts";
import { AppError } from "shared/errors.ts";
import { toRows, toTensor } from "./domain.ts";

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

Deno.test("toTensor() lays rows out in the signature's order, whatever the order of the names", () => {
  const tensor = toTensor(signature, [{ "orders.spend": 2.5, "orders.count": 1 }, {
    "orders.count": 3,
    "orders.spend": 4,
  }]);
  assertEquals([...tensor.values], [1, 2.5, 3, 4]);
  assertEquals(tensor.rows, 2);
});

Deno.test("toTensor() makes NaN of what is missing where the model was trained on missing values", () => {
  const { values } = toTensor(signature, [{ "orders.count": 1, "orders.spend": null }, {
    "orders.count": 1,
  }]);
  assert(Number.isNaN(values[1]) && Number.isNaN(values[3]));
});

Deno.test("toTensor() lists every mistake of every row with its path", () => {
  const error = assertThrows(() =>
    toTensor(signature, [
      { "orders.spend": 1 },
      { "orders.count": 1e39, "orders.spend": "many" },
      { "orders.count": 1, "orders.spnd": 1 },
    ]), AppError);
  assertEquals(error.reasons.map(({ path }) => path), [
    "/rows/0/orders.count",
    "/rows/1/orders.count",
    "/rows/1/orders.spend",
    "/rows/2/orders.spnd",
  ]);
});

Deno.test("toRows() names the values of a feature read", () => {
  assertEquals(toRows(["a.x", "a.y"], [{ values: [1, null] }]), [{ "a.x": 1, "a.y": null }]);
});
