/**
 * Sums that depend neither on the order of the terms nor on how they are grouped, so that late records, and partial
 * sums merged later, give the same bits.
 *
 * - Decimals as people write them (at most four places, such as money) are added as decimals: 0.1 + 0.2 is 0.3.
 * - Any other numbers are added as the doubles they are.
 *
 * The exact sum of both is rounded once.
 *
 * @module
 */

const DECIMAL_PLACES = 10_000;
/** Up to here a decimal is the only one with so few places that its double stands for. */
const LARGEST_SCALED = 1e15;
/** Beyond it a sum has no value, whatever comes later: so that none can overflow on its way. */
const LARGEST_TERM = 1e300;

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

/** A sum as JSON: ten-thousandths, their size where it is not that of their sum, and the other terms. */
export type SumState = readonly [
  decimals: number,
  size: number,
  large?: readonly number[],
  others?: readonly number[],
];

/** A sum that is added to and merged. */
export class NumberSum {
  /** In ten-thousandths: an integer, and so is the sum of the absolute terms, both exact. */
  #decimals = 0;
  #size = 0;
  /** Ten-thousandths beyond 2^53. */
  #large: ExactSum | undefined;
  #others: ExactSum | undefined;
  #tooLarge = false;

  addAt({ values, scaled }: Terms, positions: ArrayLike<number>): void {
    let sum = 0;
    let size = 0;
    for (let index = 0; index < positions.length; index++) {
      const term = scaled[positions[index]!]!;
      sum += term;
      size += Math.abs(term);
    }
    // NaN as soon as one term is no decimal. Integers up to 2^53 add up without error, in any order.
    if (size <= Number.MAX_SAFE_INTEGER) return this.#addDecimals(sum, size);
    for (let index = 0; index < positions.length; index++) {
      const position = positions[index]!;
      const term = scaled[position]!;
      if (Number.isNaN(term)) this.#addOther(values[position]!);
      else this.#addDecimals(term, Math.abs(term));
    }
  }

  merge([decimals, size, large = [], others = []]: SumState): void {
    this.#addDecimals(decimals, size);
    for (const term of large) (this.#large ??= new ExactSum()).add(term);
    for (const term of others) this.#addOther(term);
  }

  state(): SumState {
    const large = this.#large?.terms() ?? [];
    const others = this.#tooLarge ? [Number.MAX_VALUE] : this.#others?.terms() ?? [];
    if (others.length > 0) return [this.#decimals, this.#size, large, others];
    return large.length > 0 ? [this.#decimals, this.#size, large] : [this.#decimals, this.#size];
  }

  /** The double nearest to the sum; 0 without terms, NaN when a term was too large. */
  value(): number {
    if (this.#tooLarge) return NaN;
    if (this.#large === undefined && this.#others === undefined) return this.#decimals / DECIMAL_PLACES;
    const total = new ExactSum(this.#others?.terms());
    const rest = new ExactSum(this.#large?.terms());
    rest.add(this.#decimals);
    // Long division: each quotient is a double, and what it leaves is exact. Three hold more than rounding looks at.
    for (let place = 0; place < 3; place++) {
      const quotient = rest.value() / DECIMAL_PLACES;
      if (quotient === 0) break;
      total.add(quotient);
      rest.addProduct(-quotient, DECIMAL_PLACES);
    }
    return total.value();
  }

  #addDecimals(sum: number, size: number): void {
    if (this.#size + size > Number.MAX_SAFE_INTEGER) {
      (this.#large ??= new ExactSum()).add(this.#decimals);
      this.#decimals = 0;
      this.#size = 0;
    }
    this.#decimals += sum;
    this.#size += size;
  }

  #addOther(term: number): void {
    if (Math.abs(term) <= LARGEST_TERM) (this.#others ??= new ExactSum()).add(term);
    else this.#tooLarge = true;
  }
}

/**
 * The double nearest to the exact sum of doubles. The running sum is kept as doubles that do not overlap (Shewchuk,
 * "Adaptive precision floating-point arithmetic", 1997); together they hold it without error.
 */
export class ExactSum {
  readonly #partials: number[];

  /** @param terms of another one */
  constructor(terms: readonly number[] = []) {
    this.#partials = [...terms];
  }

  /** Doubles with the same sum, as few as it takes. */
  terms(): readonly number[] {
    return this.#partials;
  }

  /** Adds a product without error (Dekker, "A floating-point technique for extending the available precision", 1971). */
  addProduct(a: number, b: number): void {
    const product = a * b;
    const [aHigh, aLow] = split(a);
    const [bHigh, bLow] = split(b);
    this.add(product);
    this.add(aLow * bLow - (((product - aHigh * bHigh) - aLow * bHigh) - aHigh * bLow));
  }

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

/** Two halves of a double, of at most 26 bits each. */
function split(value: number): [number, number] {
  const scaled = 134_217_729 * value;
  const high = scaled - (scaled - value);
  return [high, value - high];
}
