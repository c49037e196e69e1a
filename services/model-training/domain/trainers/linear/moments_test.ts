import { assertAlmostEquals, assertEquals } from "@std/assert";
import { Random } from "../../random.ts";
import { momentsOf } from "./moments.ts";

const random = new Random(1);
const uniform = (rows: number) => Float32Array.from({ length: rows }, () => random.uniform());

const columns: Record<string, Float32Array> = {
  "of several blocks": uniform(1_000),
  "far from 0": uniform(1_000).map((value) => 1e6 + 10 * value),
  "in order": uniform(1_000).sort().map((value) => 1e4 * value),
  "with one value far from all others": uniform(1_000).with(0, 1e9),
  "with missing values": uniform(1_000).map((value, row) => row < 300 || row % 3 === 0 ? NaN : value),
};

for (const [name, column] of Object.entries(columns)) {
  Deno.test(`momentsOf() gives mean and deviation of a column ${name}`, () => {
    const values = [...column].filter((value) => !Number.isNaN(value));
    const expectedMean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - expectedMean) ** 2, 0);
    const expected = Math.sqrt(squares / values.length);
    const { mean, deviation } = momentsOf(column);
    assertAlmostEquals(mean, expectedMean, 1e-10 * Math.abs(expectedMean));
    assertAlmostEquals(deviation, expected, 1e-10 * expected);
  });
}

Deno.test("momentsOf() gives a constant no deviation, and nothing the moments 0 and 0", () => {
  const { mean, deviation } = momentsOf(new Float32Array(10_000).fill(0.1));
  assertEquals([mean, deviation], [Math.fround(0.1), 0]);
  assertEquals(momentsOf(new Float32Array(1_000).fill(NaN)), { mean: 0, deviation: 0 });
});
