import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { binIndex } from "shared/reference_bins.ts";
import { categoryBins, classBins, referenceBins } from "./reference_bins.ts";

Deno.test("referenceBins() puts a tenth of the values into each bin", () => {
  const values = Float64Array.from({ length: 100 }, (_, i) => 99 - i);
  const bins = referenceBins("v.a", values);
  assertEquals(bins.edges, [9, 19, 29, 39, 49, 59, 69, 79, 89]);
  assertEquals(bins.counts, new Array(10).fill(10));
  assertEquals(bins.missing, 0);
});

Deno.test("referenceBins() gives each of a few values a bin, however rare it is", () => {
  const values = Float64Array.from([...new Array(97).fill(0), 1, 2, NaN]);
  assertEquals(referenceBins("v.a", values), { name: "v.a", edges: [0, 1], counts: [97, 1, 1], missing: 1 });
});

Deno.test("referenceBins() has one bin for a constant, and none that counts without values", () => {
  assertEquals(referenceBins("a", Float64Array.of(5, 5)), { name: "a", edges: [], counts: [2], missing: 0 });
  assertEquals(referenceBins("a", Float64Array.of(NaN)), { name: "a", edges: [], counts: [0], missing: 1 });
});

Deno.test("referenceBins() counts every value once, in the bin that binIndex() names", () => {
  const value = fc.oneof(
    fc.constant(NaN),
    fc.double({ noDefaultInfinity: true, noNaN: true }),
    fc.integer({ min: 0, max: 3 }),
  );
  fc.assert(fc.property(fc.array(value), fc.integer({ min: 1, max: 12 }), (list, bins) => {
    const { edges, counts, missing } = referenceBins("a", Float64Array.from(list), { bins });
    const expected = new Array<number>(edges.length + 1).fill(0);
    for (const x of list) {
      if (Number.isNaN(x)) continue;
      const holds = (bin: number) =>
        (bin === 0 || x > edges[bin - 1]!) && (bin === edges.length || x <= edges[bin]!);
      expected[binIndex(edges, x)]!++;
      assertEquals(holds(binIndex(edges, x)), true);
    }
    assertEquals(counts, expected);
    assertEquals(counts.length <= bins, true);
    assertEquals(missing, list.filter(Number.isNaN).length);
  }));
});

Deno.test("categoryBins() gives each text a bin, the most frequent first, and counts what is missing", () => {
  assertEquals(categoryBins("v.a", [2, 2, 1, 0, 2, 1, 3], ["a", "b", "c", "never"]), {
    name: "v.a",
    edges: [0, 1, 2],
    counts: [3, 2, 1, 0],
    missing: 1,
    categories: ["b", "a", "c"],
  });
  const many = Array.from({ length: 60 }, (_, index) => `t${index}`);
  const { counts, categories } = categoryBins("v.a", many.map((_, index) => index + 1), many);
  assertEquals([counts.length, counts.at(-1), categories!.length], [51, 10, 50]);
});

Deno.test("classBins() counts the likeliest class, and the probability of each", () => {
  const answers = Float64Array.of(0.7, 0.3, 0.2, 0.8, 0.5, 0.5, 0.9, 0.1);
  const [output, app, web] = classBins(answers, ["app", "web"]);
  assertEquals(output, {
    name: "output",
    edges: [0, 1],
    counts: [3, 1, 0],
    missing: 0,
    categories: ["app", "web"],
  });
  assertEquals([app!.name, app!.class, app!.edges, app!.counts], ["output/app", "app", [0.2, 0.5, 0.7], [
    1,
    1,
    1,
    1,
  ]]);
  assertEquals([web!.name, web!.class, web!.edges, web!.counts], ["output/web", "web", [0.1, 0.3, 0.5], [
    1,
    1,
    1,
    1,
  ]]);
});
