import { assert, assertEquals } from "@std/assert";
import { WEIGHT_BUCKETS } from "shared/contracts/model_serving.ts";
import { bucketOf, entityAssignmentKey, layOut, type WeightedArm } from "./assignment.ts";

/** The arms with their weights; the champion has the rest. */
function layoutOf(weights: Record<string, number>): (string | undefined)[] {
  const others = Object.entries(weights).map(([name, weight]) => ({ name, weight, champion: false }));
  const rest = 1 - others.reduce((sum, { weight }) => sum + weight, 0);
  const arms: WeightedArm[] = [{ name: "champion", weight: rest, champion: true }, ...others];
  return Array.from(layOut(arms), (arm) => arms[arm]?.name);
}

const share = (layout: readonly unknown[], arm: string) =>
  layout.filter((name) => name === arm).length / layout.length;

Deno.test("layOut() gives every arm exactly its share", () => {
  const layout = layoutOf({ a: 0.1, b: 0.25, c: 0.0001 });
  assertEquals(["a", "b", "c", "champion"].map((arm) => share(layout, arm)), [0.1, 0.25, 0.0001, 0.6499]);
});

Deno.test("layOut() gives each of hundreds of arms its own share", () => {
  const names = Array.from({ length: 400 }, (_, index) => `arm_${index}`);
  const layout = layoutOf(Object.fromEntries(names.map((name) => [name, 0.001])));
  assertEquals(new Set(names.map((name) => share(layout, name))), new Set([0.001]));
  assertEquals(share(layout, "champion"), 0.6);
});

Deno.test("layOut() moves just the buckets that a weight gains or loses, with two arms beside the champion", () => {
  const before = layoutOf({ canary: 0.1, other: 0.3 });
  const after = layoutOf({ canary: 0.35, other: 0.3 });
  const moved = before.flatMap((arm, bucket) => arm === after[bucket] ? [] : [`${arm} > ${after[bucket]}`]);
  assertEquals(new Set(moved), new Set(["champion > canary"]));
  assertEquals(moved.length, 0.25 * WEIGHT_BUCKETS);
  // And back again: who came last goes first.
  assertEquals(layoutOf({ canary: 0.1, other: 0.3 }), before);
});

Deno.test("bucketOf() spreads keys evenly, and differently under another salt", () => {
  const keys = Array.from({ length: 100_000 }, (_, index) => `${10_000 + index}`);
  const canary = keys.filter((key) => bucketOf("reorder", key) < 0.1 * WEIGHT_BUCKETS);
  // Five standard deviations of the binomial distribution.
  const bound = 5 * Math.sqrt(keys.length * 0.1 * 0.9);
  assert(Math.abs(canary.length - 10_000) < bound, `${canary.length} of 100,000 keys in a tenth`);
  const both = canary.filter((key) => bucketOf("another", key) < 0.1 * WEIGHT_BUCKETS);
  assert(Math.abs(both.length - 1_000) < 5 * Math.sqrt(1_000), `${both.length} of 10,000 in the same tenth`);
  // Consecutive keys must not be neighbours: one deviation in each hundredth of the buckets.
  const counts = new Array<number>(100).fill(0);
  for (const key of keys) counts[Math.floor(bucketOf("x", key) / 100)]!++;
  const chiSquared = counts.reduce((sum, count) => sum + (count - 1_000) ** 2 / 1_000, 0);
  assert(chiSquared < 170, `chi-squared of 99 degrees of freedom is ${chiSquared}`);
});

Deno.test("entityAssignmentKey() takes the declared parts, in whichever type they came", () => {
  assertEquals(entityAssignmentKey({ customer: 17850 }), entityAssignmentKey({ customer: "17850" }));
  assertEquals(
    entityAssignmentKey({ customer: "1", product: "2" }, ["customer"]),
    entityAssignmentKey({ customer: "1", product: "3" }, ["customer"]),
  );
  assert(entityAssignmentKey({ a: "1", b: "2" }) !== entityAssignmentKey({ a: "2", b: "1" }));
  assertEquals(entityAssignmentKey({ a: "1", b: "2" }), entityAssignmentKey({ b: "2", a: "1" }));
  assertEquals(entityAssignmentKey({ product: "2" }, ["customer"]), undefined);
});
