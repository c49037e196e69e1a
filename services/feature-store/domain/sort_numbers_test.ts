import { assert } from "@std/assert";
import fc from "fast-check";
import { sortNumbers } from "./sort_numbers.ts";

Deno.test("sortNumbers() gives the order that comparing gives, -0 before 0", () => {
  const number = fc.oneof(fc.double({ noNaN: true }), fc.integer(), fc.constantFrom(0, -0, 1e-320, -1e-320));
  fc.assert(
    fc.property(
      fc.array(number, { minLength: 1, maxLength: 50 }),
      fc.constantFrom(1, 100, 3_000),
      (some, times) => {
        const numbers = Float64Array.from({ length: some.length * times }, (_, index) => {
          const one = some[index % some.length]!;
          return index % 3 === 0 ? one * ((index % 1_009) / 1_000) : one;
        }).filter((one) => !Number.isNaN(one));
        const expected = numbers.toSorted();
        sortNumbers(numbers);
        assert(numbers.every((one, index) => Object.is(one, expected[index])));
      },
    ),
    { numRuns: 40 },
  );
});
