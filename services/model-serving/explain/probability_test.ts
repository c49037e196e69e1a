import { assertAlmostEquals, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type ClassScale, inProbabilities, inProbability } from "./probability.ts";

const sumOf = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function answerOf(scores: readonly number[], scale: ClassScale): number[] {
  const shares = scale === "scores" ? scores : scores.map(Math.exp);
  return shares.map((share) => share / sumOf(shares));
}

const lists = (value: fc.Arbitrary<number>) =>
  fc.integer({ min: 2, max: 5 }).chain((classes) => {
    const list = fc.array(value, { minLength: classes, maxLength: classes });
    return fc.record({ base: list, parts: fc.array(list, { minLength: 1, maxLength: 6 }) });
  });

const decimal = (min: number, max: number) => fc.double({ min, max, noNaN: true });

Deno.test("inProbabilities() adds up to the answer for each class, and its classes to nothing", () => {
  for (
    const [scale, value] of [["log_scores", decimal(-8, 8)], ["scores", decimal(0.1, 2)]] as const
  ) {
    fc.assert(fc.property(lists(value), ({ base, parts }) => {
      const scores = base.map((start, k) => start + sumOf(parts.map((part) => part[k]!)));
      const probabilities = answerOf(scores, scale);
      const told = inProbabilities({ base, parts }, { scale, probabilities });
      told.base.forEach((start, k) => {
        const sum = start + sumOf(told.parts.map((part) => part[k]!));
        assertAlmostEquals(sum, probabilities[k]!, 1e-9);
      });
      // What one class gains the others lose.
      for (const part of told.parts) assertAlmostEquals(sumOf(part), 0, 1e-4);
    }));
  }
});

Deno.test("inProbabilities() of two classes is what inProbability() says of their difference", () => {
  fc.assert(
    fc.property(decimal(-5, 5), fc.array(decimal(-5, 5), { minLength: 1, maxLength: 5 }), (base, parts) => {
      const probability = 1 / (1 + Math.exp(-base - sumOf(parts)));
      const one = inProbability({ base, parts }, probability);
      const both = inProbabilities({ base: [0, base], parts: parts.map((part) => [0, part]) }, {
        scale: "log_scores",
        probabilities: [1 - probability, probability],
      });
      assertAlmostEquals(both.base[1]!, one.base, 1e-9);
      both.parts.forEach((part, feature) => assertAlmostEquals(part[1]!, one.parts[feature]!, 1e-6));
    }),
  );
});

Deno.test("inProbabilities() gives nothing to a feature that moves no class against another", () => {
  const told = inProbabilities({ base: [1, 2, 3], parts: [[5, 5, 5], [0, 0, 0], [1, 0, 0]] }, {
    scale: "log_scores",
    probabilities: answerOf([7, 7, 8], "log_scores"),
  });
  for (const part of told.parts.slice(0, 2)) for (const value of part) assertAlmostEquals(value, 0, 1e-9);
  assertEquals(told.parts[2]!.map(Math.sign), [1, -1, -1]);
});
