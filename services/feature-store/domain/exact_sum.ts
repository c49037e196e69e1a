/**
 * Sums that depend neither on the order of the terms nor on how they are grouped, so that late records, and partial
 * sums merged later, give the same bits.
 *
 * - Decimals as people write them (at most four places, such as money) are added as decimals: 0.1 + 0.2 is 0.3.
 * - Any other numbers are added as the doubles they are, and their exact sum is rounded once.
 *
 * @module
 */

const DECIMAL_PLACES = 10_000;
/** Up to here a decimal is the only one with so few places that its double stands for. */
const LARGEST_SCALED = 1e15;

/** A decimal of at most four places in ten-thousandths, exactly; NaN for any other number. */
export function toScaled(value: number): number {
  const scaled = Math.round(value * DECIMAL_PLACES);
  return Math.abs(scaled) <= LARGEST_SCALED && scaled / DECIMAL_PLACES === value ? scaled : NaN;
}

/** Numbers of which some are to be summed. */
export interface Terms {
  values: ArrayLike<number>;
  /** The same numbers by {@link toScaled}. */
  scaled: ArrayLike<number>;
}

/** The sum of the terms at some positions; 0 without any, NaN when it leaves the range of doubles. */
export function exactSum({ values, scaled }: Terms, positions: ArrayLike<number>): number {
  let sum = 0;
  let size = 0;
  for (let index = 0; index < positions.length; index++) {
    const term = scaled[positions[index]!]!;
    sum += term;
    size += Math.abs(term);
  }
  // NaN as soon as one term is no decimal. Integers up to 2^53 add up without error, in any order.
  if (size <= Number.MAX_SAFE_INTEGER) return sum / DECIMAL_PLACES;
  const exact = new ExactSum();
  for (let index = 0; index < positions.length; index++) exact.add(values[positions[index]!]!);
  return exact.value();
}

/**
 * The double nearest to the exact sum of doubles. The running sum is kept as doubles that do not overlap (Shewchuk,
 * "Adaptive precision floating-point arithmetic", 1997); together they hold it without error.
 */
export class ExactSum {
  readonly #partials: number[] = [];

  add(term: number): void {
    const partials = this.#partials;
    let carry = term;
    let kept = 0;
    for (let index = 0; index < partials.length; index++) {
      let small = partials[index]!;
      if (Math.abs(carry) < Math.abs(small)) {
        const large = small;
        small = carry;
        carry = large;
      }
      const sum = carry + small;
      const lost = small - (sum - carry);
      if (lost !== 0) partials[kept++] = lost;
      carry = sum;
    }
    partials.length = kept;
    partials.push(carry);
  }

  /** NaN when the sum left the range of doubles. */
  value(): number {
    const partials = this.#partials;
    let index = partials.length - 1;
    let sum = partials[index] ?? 0;
    let lost = 0;
    while (index > 0 && lost === 0) {
      const partial = partials[--index]!;
      const before = sum;
      sum = before + partial;
      lost = partial - (sum - before);
    }
    // Halfway between two doubles, the next partial says to which side the exact sum lies.
    const next = partials[index - 1];
    if (index > 0 && next !== undefined && Math.sign(lost) === Math.sign(next)) {
      const doubled = lost * 2;
      const rounded = sum + doubled;
      if (doubled === rounded - sum) sum = rounded;
    }
    return sum;
  }
}
