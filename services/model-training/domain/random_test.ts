import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Random } from "./random.ts";

Deno.test("Random gives the same numbers for the same seed", () => {
  const draw = (seed: number) => {
    const random = new Random(seed);
    return Array.from({ length: 5 }, () => random.uint32());
  };
  assertEquals(draw(7), draw(7));
  assertNotEquals(draw(7), draw(8));
});

Deno.test("Random.below() draws every number about equally often", () => {
  const random = new Random(1);
  const counts = new Array<number>(7).fill(0);
  for (let i = 0; i < 70_000; i++) counts[random.below(7)]!++;
  // Six standard deviations of a binomial count.
  for (const count of counts) assert(Math.abs(count - 10_000) < 6 * Math.sqrt(10_000), String(counts));
});

Deno.test("Random.sample() draws different numbers in ascending order, each equally likely", () => {
  const random = new Random(1);
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i++) {
    const drawn = [...random.sample(10, 3)];
    assertEquals(drawn, [...new Set(drawn)].sort((a, b) => a - b));
    for (const number of drawn) counts[number]!++;
  }
  for (const count of counts) assert(Math.abs(count - 3_000) < 6 * Math.sqrt(3_000), String(counts));
  assertEquals([...random.sample(3, 3)], [0, 1, 2]);
});
