import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { ExactSum, NumberSum, type SumState, toScaled } from "./exact_sum.ts";

const sumOf = (terms: readonly number[]) => {
  const sum = new ExactSum();
  for (const term of terms) sum.add(term);
  return sum.value();
};

const numberSum = (values: readonly number[]) => {
  const sum = new NumberSum();
  sum.addAt({ values, scaled: values.map(toScaled) }, Int32Array.from(values.keys()));
  return sum;
};
const total = (values: readonly number[]) => numberSum(values).value();

Deno.test("NumberSum adds decimals as decimals", () => {
  assertEquals(total([]), 0);
  assertEquals(total([0.1, 0.2]), 0.3);
  assertEquals(total([1.69, 2.1, -0.0001]), 3.7899);
  assertEquals(total(Array(1_000).fill(0.01)), 10);
  assertEquals(total([123_456_789.12, 0.01]), 123_456_789.13);
});

Deno.test("NumberSum of decimals is the decimal nearest to it, in any order", () => {
  const cents = fc.array(fc.integer({ min: -1_000_000_000, max: 1_000_000_000 }), { maxLength: 50 });
  fc.assert(fc.property(cents, (cents) => {
    const sum = cents.reduce((sum, cent) => sum + cent, 0) / 100;
    assertEquals(total(cents.map((cent) => cent / 100)), sum === 0 ? 0 : sum);
  }));
});

Deno.test("NumberSum adds other numbers as the doubles they are", () => {
  assertEquals(total([1 / 3, 1 / 7]), sumOf([1 / 3, 1 / 7]));
  assertEquals(total([2 ** 53 - 1, 1, 1, 1]), 2 ** 53 + 2);
  assertEquals(total([1e15, 0.5, 1e15]), 2e15 + 0.5);
  assertEquals(total([1e308, 1e308, -1e308]), NaN);
});

Deno.test("ExactSum rounds once", () => {
  assertEquals(sumOf([]), 0);
  assertEquals(sumOf([0.1, 0.2, 0.3, -0.6]), 2.7755575615628914e-17);
  assertEquals(sumOf([1e100, 1, -1e100]), 1);
  assertEquals(sumOf(Array(10).fill(0.1)), 1);
  // Halfway between two doubles: the last term says to which side.
  assertEquals(sumOf([1, 2 ** -53, 2 ** -110]), 1 + 2 ** -52);
  assertEquals(sumOf([1, 2 ** -53]), 1);
});

Deno.test("ExactSum gives the same bits in any order", () => {
  const terms = fc.array(fc.double({ noNaN: true, min: -1e100, max: 1e100 }), { maxLength: 30 });
  fc.assert(fc.property(terms, fc.func(fc.integer()), (terms, order) => {
    const shuffled = terms.toSorted((a, b) => order(a) - order(b));
    assertEquals(sumOf(shuffled), sumOf(terms));
    assertEquals(total(shuffled), total(terms));
  }));
});

Deno.test("NumberSum gives the same bits however its terms are grouped, and after JSON", () => {
  const terms = fc.array(
    fc.oneof(
      fc.double({ noNaN: true, min: -1e100, max: 1e100 }),
      fc.integer({ min: -1e9, max: 1e9 }).map((cents) => cents / 100),
      fc.constantFrom(9e10, -9e10, 0.0001),
    ),
    { maxLength: 40 },
  );
  fc.assert(fc.property(terms, fc.nat(40), fc.nat(40), (terms, first, second) => {
    const cuts = [0, Math.min(first, second), Math.max(first, second), terms.length];
    const merged = new NumberSum();
    for (const group of [2, 0, 1]) {
      const part = numberSum(terms.slice(cuts[group], cuts[group + 1]));
      merged.merge(JSON.parse(JSON.stringify(part.state())) as SumState);
    }
    assertEquals(merged.value(), total(terms));
  }));
});

Deno.test("NumberSum adds decimals and other numbers exactly, and rounds once", () => {
  // Decimals far beyond 2^53 ten-thousandths: nine hundred thousand million, twenty thousand times, and a cent.
  assertEquals(total([...Array(20_000).fill(9e10), 0.01]), 1.8e15 + 0.01);
  assertEquals(total([0.1, 0.2, 2 ** -60, -(2 ** -60)]), 0.3);
  assertEquals(total([1e301, 1]), NaN);
});
