import { assertEquals, assertThrows } from "@std/assert";
import type { ModelInput, Signature } from "shared/contracts/signature.ts";
import { AppError } from "shared/errors.ts";
import type { ModelSummary, ModelValue } from "shared/onnx/reader.ts";
import { adaptInputs } from "./adapt_inputs.ts";

const number = (name: string): ModelInput => ({ name, type: "number", nulls: "refuse" });
const category = (name: string): ModelInput => ({
  name,
  type: "category",
  nulls: "refuse",
  vocabulary: ["a"],
  unseen: "as_other",
});
const signature = {
  inputs: [number("view.a"), category("view.b"), number("view.c")],
} as unknown as Signature;
const tensor = (name: string, type: ModelValue["type"], width: number): ModelValue => ({
  name,
  type,
  dims: ["rows", width],
});
const adapt = (...inputs: ModelValue[]) => adaptInputs({ inputs } as unknown as ModelSummary, signature);
const textOf = ({ nodes }: ReturnType<typeof adapt>) =>
  nodes.map(({ op, inputs, outputs }) => `${op} ${inputs.join("+")} -> ${outputs.join("+")}`);

Deno.test("adaptInputs() feeds one tensor of numbers and one of texts, under whatever names", () => {
  assertEquals(textOf(adapt(tensor("texts", "string", 1), tensor("features", "float", 2))), [
    "Identity categories -> texts",
  ]);
  assertEquals(textOf(adapt(tensor("x", "double", 2), tensor("categories", "string", 1))), [
    "Cast features -> x",
  ]);
});

Deno.test("adaptInputs() feeds a column for each input, by its name or as skl2onnx writes it", () => {
  const adapted = adapt(
    tensor("view_c", "double", 1),
    tensor("view.b", "string", 1),
    tensor("view_a", "float", 1),
  );
  assertEquals(textOf(adapted), [
    "Gather features+microml_place_of_view.a -> microml_column_of_view.a",
    "Identity microml_column_of_view.a -> view_a",
    "Gather features+microml_place_of_view.c -> microml_column_of_view.c",
    "Cast microml_column_of_view.c -> view_c",
    "Gather categories+microml_place_of_view.b -> microml_column_of_view.b",
    "Identity microml_column_of_view.b -> view.b",
  ]);
  assertEquals(adapted.initializers.map(({ data }) => [...data as BigInt64Array]), [[0n], [1n], [0n]]);
});

Deno.test("adaptInputs() says what would fit when neither does", () => {
  const refused: ModelValue[][] = [
    [tensor("view.a", "float", 1), tensor("view.b", "string", 1)],
    [tensor("view.a", "float", 1), tensor("view.b", "float", 1), tensor("view.c", "float", 1)],
    [tensor("view.a", "float", 1), tensor("view.b", "string", 1), tensor("view.c", "float", 2)],
    [tensor("x", "float", 3), tensor("y", "string", 1)],
  ];
  for (const inputs of refused) {
    assertThrows(
      () => adapt(...inputs),
      AppError,
      "the signature wants one of float or double [rows, 2] and one of string [rows, 1], or a column [rows, 1]",
    );
  }
});
