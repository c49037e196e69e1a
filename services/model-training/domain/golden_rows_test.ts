import { assertEquals } from "@std/assert";
import { datasetOf, textColumn } from "../testing/datasets.ts";
import { goldenRowsOf } from "./golden_rows.ts";
import { describeInputs } from "./signature.ts";

const rows = 200;
const numbers = Array.from({ length: rows }, (_, row) => row / 10);
const texts = numbers.map((_, row) => row % 3 === 0 ? null : "a");
const train = datasetOf([numbers, textColumn(texts)], numbers);
/** Later, numbers are missing too, which they never were in training. */
const later = datasetOf(
  [numbers.map((value, row) => row % 2 === 0 ? NaN : value), textColumn(texts)],
  numbers,
);
const answers = Float64Array.from({ length: 2 * rows }, (_, index) => index);
const inputs = describeInputs(train, [null, ["a"]]);

Deno.test("goldenRowsOf() draws rows that a server takes, with their answers", () => {
  const { rows: golden, outputs } = goldenRowsOf(later, answers, { inputs, seed: 1 });
  assertEquals(golden.length, 5);
  golden.forEach(([number, text], index) => {
    const row = outputs[index]![0]! / 2;
    assertEquals(row % 2, 1);
    assertEquals([number, text, outputs[index]], [Math.fround(row / 10), texts[row], [2 * row, 2 * row + 1]]);
  });
});

Deno.test("goldenRowsOf() draws by the seed, and none where every row lacks a value", () => {
  const draw = (seed: number) => goldenRowsOf(later, answers, { inputs, seed });
  assertEquals(draw(1), draw(1));
  assertEquals(JSON.stringify(draw(1)) === JSON.stringify(draw(2)), false);
  const empty = datasetOf([numbers.map(() => NaN), textColumn(texts)], numbers);
  assertEquals(goldenRowsOf(empty, answers, { inputs, seed: 1 }), { rows: [], outputs: [] });
});
