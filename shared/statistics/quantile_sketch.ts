/**
 * Quantiles of many numbers in little memory, mergeable without loss: counts in bins whose bounds depend on nothing
 * but the value.
 *
 * @module
 */
import type { ByteReader, ByteWriter } from "./bytes.ts";

/**
 * Counts by bin, of which at most so many are kept: beyond that every two neighbours become one, which doubles the
 * width of all bins (the uniform collapse of UDDSketch, Epicoco et al., 2020). The level that results depends on what
 * was counted and not on its order, so that merging is associative and commutative.
 */
class Bins {
  readonly #limit: number;
  #counts = new Map<number, number>();
  /** Of how many doublings. */
  level = 0;
  #scale = 1;
  total = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @param bin at level 0 */
  add(bin: number): void {
    const at = this.#scale === 1 ? bin : Math.ceil(bin / this.#scale);
    const before = this.#counts.get(at);
    this.total++;
    this.#counts.set(at, before === undefined ? 1 : before + 1);
    if (before === undefined) this.#coarsenBeyondLimit();
  }

  merge(other: Bins): void {
    while (this.level < other.level) this.#coarsen();
    const factor = this.#scale / other.#scale;
    for (const [bin, count] of other.#counts) {
      const at = Math.ceil(bin / factor);
      this.#counts.set(at, (this.#counts.get(at) ?? 0) + count);
    }
    this.total += other.total;
    this.#coarsenBeyondLimit();
  }

  /** Bins at this level with their counts, ascending. */
  ascending(): [bin: number, count: number][] {
    return [...this.#counts].sort(([a], [b]) => a - b);
  }

  write(to: ByteWriter): void {
    to.count(this.level);
    to.count(this.#counts.size);
    let previous = 0;
    for (const [bin, count] of this.ascending()) {
      to.integer(bin - previous);
      to.count(count);
      previous = bin;
    }
  }

  static read(from: ByteReader, limit: number): Bins {
    const bins = new Bins(limit);
    bins.level = from.count();
    bins.#scale = 2 ** bins.level;
    let bin = 0;
    for (let left = from.count(); left > 0; left--) {
      bin += from.integer();
      const count = from.count();
      bins.#counts.set(bin, count);
      bins.total += count;
    }
    return bins;
  }

  #coarsenBeyondLimit(): void {
    while (this.#counts.size > this.#limit) this.#coarsen();
  }

  #coarsen(): void {
    const counts = new Map<number, number>();
    for (const [bin, count] of this.#counts) {
      const at = Math.ceil(bin / 2);
      counts.set(at, (counts.get(at) ?? 0) + count);
    }
    this.#counts = counts;
    this.level++;
    this.#scale *= 2;
  }
}

/** Values between two bounds. */
export interface Bin {
  from: number;
  to: number;
  /** Stands for all of them, as accurately as the sketch is. */
  value: number;
  count: number;
}

export interface QuantileSketch {
  add(value: number): void;
  /** @param other of the same kind */
  merge(other: QuantileSketch): void;
  bins(): readonly Bin[];
  write(to: ByteWriter): void;
}

const RELATIVE_ACCURACY = 0.01;
const GAMMA = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY);
const BINS_PER_NAT = 1 / Math.log(GAMMA);
/** Numbers nearer to 0 count as 0. */
const SMALLEST = 1e-12;
/** Enough for 17 orders of magnitude that are filled without a gap, on each side of 0. */
const MAX_NUMBER_BINS = 2_048;

/**
 * For numbers: relative accuracy of 1% (DDSketch: Masson, Rim and Lee, 2019). Of numbers over more than 17 orders of
 * magnitude it becomes 2%.
 */
export class NumberSketch implements QuantileSketch {
  #positive = new Bins(MAX_NUMBER_BINS);
  #negative = new Bins(MAX_NUMBER_BINS);
  #zeros = 0;

  add(value: number): void {
    if (value > SMALLEST) this.#positive.add(Math.ceil(Math.log(value) * BINS_PER_NAT));
    else if (value < -SMALLEST) this.#negative.add(Math.ceil(Math.log(-value) * BINS_PER_NAT));
    else this.#zeros++;
  }

  merge(other: NumberSketch): void {
    this.#positive.merge(other.#positive);
    this.#negative.merge(other.#negative);
    this.#zeros += other.#zeros;
  }

  /** Ascending. */
  bins(): Bin[] {
    const positive = this.#positive.ascending().map((one) => magnitudes(one, this.#positive.level));
    const negative = this.#negative.ascending().reverse()
      .map((one) => magnitudes(one, this.#negative.level))
      .map(({ from, to, value, count }) => ({ from: -to, to: -from, value: -value, count }));
    const zeros = this.#zeros > 0 ? [{ from: 0, to: 0, value: 0, count: this.#zeros }] : [];
    return [...negative, ...zeros, ...positive];
  }

  write(to: ByteWriter): void {
    to.count(this.#zeros);
    this.#positive.write(to);
    this.#negative.write(to);
  }

  static read(from: ByteReader): NumberSketch {
    const sketch = new NumberSketch();
    sketch.#zeros = from.count();
    sketch.#positive = Bins.read(from, MAX_NUMBER_BINS);
    sketch.#negative = Bins.read(from, MAX_NUMBER_BINS);
    return sketch;
  }
}

/** Its value is the one from which no other one of the bin is further away than the accuracy, relatively. */
function magnitudes([bin, count]: [bin: number, count: number], level: number): Bin {
  const logGamma = 2 ** level / BINS_PER_NAT;
  const to = Math.min(Math.exp(bin * logGamma), Number.MAX_VALUE);
  const from = Math.exp((bin - 1) * logGamma);
  return { from, to, value: 2 * (to / (Math.exp(logGamma) + 1)), count };
}

const SECOND_MS = 1_000;
const MAX_TIME_BINS = 512;

/**
 * For instants, whose distance from 1970 says nothing about how close together they lie: bins of equal width, from
 * one second on, at least 256 of them over the span that is filled.
 */
export class TimeSketch implements QuantileSketch {
  #bins = new Bins(MAX_TIME_BINS);

  add(epochMs: number): void {
    this.#bins.add(Math.ceil(epochMs / SECOND_MS));
  }

  merge(other: TimeSketch): void {
    this.#bins.merge(other.#bins);
  }

  /** Ascending. */
  bins(): Bin[] {
    const width = SECOND_MS * 2 ** this.#bins.level;
    return this.#bins.ascending().map(([bin, count]) => ({
      from: (bin - 1) * width,
      to: bin * width,
      value: (bin - 0.5) * width,
      count,
    }));
  }

  write(to: ByteWriter): void {
    this.#bins.write(to);
  }

  static read(from: ByteReader): TimeSketch {
    const sketch = new TimeSketch();
    sketch.#bins = Bins.read(from, MAX_TIME_BINS);
    return sketch;
  }
}

/**
 * Values at quantiles: of n values the one at rank floor(q (n - 1)), counted from 0, as accurately as the sketch is.
 *
 * @param quantiles ascending, each from 0 to 1
 */
export function quantilesOf(sketch: QuantileSketch, quantiles: readonly number[]): number[] {
  const bins = sketch.bins();
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  const values: number[] = [];
  let position = 0;
  let before = 0;
  for (const quantile of quantiles) {
    const rank = Math.floor(quantile * (total - 1));
    while (position < bins.length - 1 && before + bins[position]!.count <= rank) {
      before += bins[position++]!.count;
    }
    values.push(bins[position]?.value ?? NaN);
  }
  return values;
}
