import { assert, assertEquals } from "@std/assert";
import { datasetOf } from "../../../testing/datasets.ts";
import { MAX_FLOAT32 } from "../../float32.ts";
import { binMemory, binRows, type FeatureBinning, findBinning, thresholdMemory } from "./binning.ts";
import { ALONE } from "./team.ts";

const data = (columns: number[][]) => {
  const dataset = datasetOf(columns, columns[0]!.map((_, row) => row % 2));
  return { ...dataset, vocabularies: columns.map(() => null) };
};
const binning = (columns: number[][], maxBins = 255) =>
  findBinning(data(columns), { maxBins, seed: 1 }, { memory: thresholdMemory(columns.length), team: ALONE });
const bin = (columns: number[][], binnings: FeatureBinning[]) =>
  binRows(data(columns), binnings, { memory: binMemory(columns[0]!.length, columns.length), team: ALONE });
const repeat = (value: number, times: number) => new Array<number>(times).fill(value);

Deno.test("findBinning() puts thresholds halfway between a few values", () => {
  const thresholds = binning([[...repeat(1, 3), ...repeat(2, 3), ...repeat(5, 3)]])[0]!.thresholds!;
  assertEquals([...thresholds], [1.5, 3.5, MAX_FLOAT32]);
});

Deno.test("findBinning() parts neighbouring float32 values", () => {
  const low = Math.fround(0.1);
  const high = new Float32Array(
    new Int32Array(Float32Array.of(low).buffer).map((bits) => bits + 1).buffer,
  )[0]!;
  const thresholds = binning([[...repeat(low, 3), ...repeat(high, 3)]])[0]!.thresholds!;
  assertEquals([...thresholds], [low, MAX_FLOAT32]);
});

Deno.test("findBinning() fills bins about equally and gives a heavy value one of its own", () => {
  const values = [...repeat(500, 1_000), ...Array.from({ length: 1_000 }, (_, i) => i)];
  const columns = binning([values], 11);
  const thresholds = columns[0]!.thresholds!;
  assertEquals(thresholds.length, 11);
  const bins = bin([values], columns).byColumn[0]!;
  const sizes = new Map<number, number>();
  for (const bin of bins) sizes.set(bin, (sizes.get(bin) ?? 0) + 1);
  const heavy = sizes.get(bins[0]!)!;
  assertEquals(heavy, 1_001);
  sizes.delete(bins[0]!);
  assert([...sizes.values()].every((size) => size >= 50 && size <= 150), String([...sizes.values()]));
});

Deno.test("findBinning() parts the signs, and 0 from both", () => {
  const values = Array.from({ length: 3_001 }, (_, i) => (i - 1_234) / 7);
  for (const column of [values, values.map((value) => value + 0.01)]) {
    const columns = binning([column], 64);
    assert(columns[0]!.thresholds!.length <= 64);
    const bins = bin([column], columns).byColumn[0]!;
    const signs = Map.groupBy(column.keys(), (row) => bins[row]!).values()
      .map((rows) => new Set(rows.map((row) => Math.sign(column[row]!))).size);
    assertEquals(new Set(signs), new Set([1]));
    const rows = Map.groupBy(column.keys(), (row) => bins[row]!).values().map((rows) => rows.length);
    assert(Math.max(...rows) <= 60, "no bin is much larger than the others");
  }
  assertEquals([...binning([[...repeat(-1, 3), ...repeat(3, 3)]])[0]!.thresholds!], [0, MAX_FLOAT32]);
});

Deno.test("findBinning() leaves out features without a choice", () => {
  const rows = 9;
  const columns = binning([repeat(4, rows), repeat(NaN, rows), [NaN, ...repeat(4, rows - 1)]]);
  assertEquals(columns.map((column) => column.feature), [2]);
  assertEquals([...columns[0]!.thresholds!], [MAX_FLOAT32]);
});

Deno.test("binRows() bins missing values, unseen values and values on a threshold", () => {
  const columns = binning([[...repeat(1, 3), ...repeat(2, 3)]]);
  const binned = bin([[NaN, -9, 1.5, 1.6, 1e30]], columns);
  assertEquals([...binned.byColumn[0]!], [0, 1, 1, 2, 2]);
  assertEquals([...binned.words], [0, 1, 1, 2, 2]);
});
