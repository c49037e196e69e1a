import { ExactSum, NumberSum, type SumState } from "./exact_sum.ts";
import type { History, Numbers } from "./history.ts";
import type { PartialAggregate, PartialState } from "./partial.ts";

/** Sum, least and largest of a field's numbers; booleans are 0 and 1, everything else is passed over. */
export class NumbersPartial implements PartialAggregate {
  count = 0;
  min: number | null = null;
  max: number | null = null;
  readonly #field: number;
  readonly #sum = new NumberSum();

  constructor(field: number) {
    this.#field = field;
  }

  sum(): number {
    return this.#sum.value();
  }

  add(history: History, positions: Int32Array): void {
    const numbers = history.numbers(this.#field);
    const present = withNumbers(numbers, positions);
    if (present.length === 0) return;
    this.#sum.addAt(numbers, present);
    const { values } = numbers;
    let least = Infinity;
    let most = -Infinity;
    for (let index = 0; index < present.length; index++) {
      const value = values[present[index]!]!;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    this.#take(present.length, least, most);
  }

  merge(state: PartialState): void {
    const [count, min, max, ...sum] = state as [number, number, number, ...SumState];
    this.#sum.merge(sum);
    this.#take(count, min, max);
  }

  state(): PartialState | null {
    return this.count === 0 ? null : [this.count, this.min, this.max, ...this.#sum.state()];
  }

  #take(count: number, min: number, max: number): void {
    this.count += count;
    this.min = this.min === null || min < this.min ? min : this.min;
    this.max = this.max === null || max > this.max ? max : this.max;
  }
}

/** The square of a larger number leaves the range in which it is kept without error. */
const LARGEST_SQUARED = 1e145;

/**
 * The deviation of a sample. Sums of the numbers and of their squares are kept without error, and so is the difference
 * n * sum(x^2) - sum(x)^2, which loses nothing to cancellation that way; only the result is rounded.
 */
export class SpreadPartial implements PartialAggregate {
  readonly #field: number;
  #count = 0;
  #sum = new ExactSum();
  #squares = new ExactSum();
  #tooLarge = false;

  constructor(field: number) {
    this.#field = field;
  }

  add(history: History, positions: Int32Array): void {
    const numbers = history.numbers(this.#field);
    const present = withNumbers(numbers, positions);
    this.#count += present.length;
    for (let index = 0; index < present.length; index++) {
      const value = numbers.values[present[index]!]!;
      if (Math.abs(value) > LARGEST_SQUARED) {
        this.#tooLarge = true;
        continue;
      }
      this.#sum.add(value);
      this.#squares.addProduct(value, value);
    }
  }

  merge(state: PartialState): void {
    const [count, sum, squares] = state as [number, number[], number[] | null];
    this.#count += count;
    for (const term of sum) this.#sum.add(term);
    if (squares === null) this.#tooLarge = true;
    else for (const term of squares) this.#squares.add(term);
  }

  state(): PartialState | null {
    if (this.#count === 0) return null;
    return this.#tooLarge ? [this.#count, [], null] : [this.#count, this.#sum.terms(), this.#squares.terms()];
  }

  /** Null below two numbers, NaN when one was too large to be squared. */
  deviation(): number | null {
    const count = this.#count;
    if (count < 2) return null;
    if (this.#tooLarge) return NaN;
    const difference = new ExactSum();
    for (const square of this.#squares.terms()) difference.addProduct(count, square);
    const terms = this.#sum.terms();
    for (const left of terms) for (const right of terms) difference.addProduct(-left, right);
    return Math.sqrt(Math.max(difference.value(), 0) / count / (count - 1));
  }
}

/** The positions that hold a number. */
function withNumbers(numbers: Numbers, positions: Int32Array): Int32Array {
  if (numbers.complete) return positions;
  return positions.filter((position) => !Number.isNaN(numbers.values[position]!));
}
