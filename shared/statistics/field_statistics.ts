/**
 * What the values of one field say, in bounded memory and mergeable: statistics of parts, made anywhere and merged in
 * any order, are those of the whole. Counts, extremes and lengths exactly, means and deviations up to rounding,
 * the rest as accurately as its sketch (see there).
 *
 * ```ts
 * const statistics = createFieldStatistics();
 * for (const value of [3, 5, null]) statistics.add(value);
 * statistics.summary({ field: "quantity" }).numbers?.mean; // 4
 * ```
 *
 * @module
 */
import type { FieldProfile } from "../contracts/data_preprocessing.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { DistinctCounter } from "./distinct_counter.ts";
import { FrequentValues, MAX_FREQUENT_LENGTH } from "./frequent_values.ts";
import { hashBoolean, hashNumber, hashText } from "./hash.ts";
import { epochMsOf } from "./instant_text.ts";
import { Moments } from "./moments.ts";
import { NumberSketch, quantilesOf, TimeSketch } from "./quantile_sketch.ts";

export interface SummaryOptions {
  /** The field's name. */
  field: string;
  /** Records in which it may stand: where it has no value it is null. Default: as many as values were added. */
  records?: number;
}

export interface HistogramOptions {
  from: number;
  to: number;
  bars: number;
}

export interface FieldStatistics {
  /** Any JSON value; null and undefined count as null, and of arrays and objects nothing but the type is looked at. */
  add(value: unknown): void;
  /** Takes in the statistics of other values, which stay as they are. */
  merge(other: FieldStatistics): void;
  summary(options: SummaryOptions): FieldProfile;
  /**
   * How many numbers, or instants as milliseconds since 1970, lie in each of so many bars of equal width; what lies
   * outside is left out. As accurate as the quantiles: values between the bounds of a bin are spread evenly, so that
   * counts are not whole.
   */
  histogram(options: HistogramOptions): number[];
  /** For {@link decodeFieldStatistics}: some bytes for a few values, some kilobytes for any number. */
  encode(): Uint8Array;
}

const VERSION = 1;
const TOP_VALUES = 10;
const QUANTILES = { p01: 0.01, p05: 0.05, p25: 0.25, p50: 0.5, p75: 0.75, p95: 0.95, p99: 0.99 } as const;
const TYPES = ["string", "number", "boolean", "array", "object"] as const;
type Type = typeof TYPES[number];

export function createFieldStatistics(): FieldStatistics {
  return new SketchedStatistics();
}

/** @throws {RangeError} when the bytes are not what {@link FieldStatistics.encode} of this version gives */
export function decodeFieldStatistics(bytes: Uint8Array): FieldStatistics {
  return SketchedStatistics.read(new ByteReader(bytes));
}

class SketchedStatistics implements FieldStatistics {
  readonly #types: Record<Type, number> = { string: 0, number: 0, boolean: 0, array: 0, object: 0 };
  #nulls = 0;
  #distinct = new DistinctCounter();
  #frequent = new FrequentValues();
  /** Of numbers. Both kinds come together only where a field holds both, and then the numbers win. */
  #numbers = new Moments();
  #numberSketch = new NumberSketch();
  /** Of texts that are instants. */
  #times = new Moments();
  #timeSketch = new TimeSketch();
  #lengths = new Moments();

  add(value: unknown): void {
    switch (typeof value) {
      case "string":
        return this.#addText(value);
      case "number":
        return this.#addNumber(value);
      case "boolean":
        this.#types.boolean++;
        if (this.#frequent.add(value)) this.#distinct.add(hashBoolean(value));
        return;
      default:
        if (value === null || value === undefined) this.#nulls++;
        else this.#types[Array.isArray(value) ? "array" : "object"]++;
    }
  }

  #addText(text: string): void {
    this.#types.string++;
    this.#lengths.add(text.length);
    const epochMs = epochMsOf(text);
    const isInstant = !Number.isNaN(epochMs);
    if (isInstant) {
      this.#times.add(epochMs);
      this.#timeSketch.add(epochMs);
    }
    // What stands among the frequent values has been counted as distinct: the hash is the dearest part.
    if (text.length <= MAX_FREQUENT_LENGTH && !this.#frequent.add(text)) return;
    this.#distinct.add(isInstant ? hashNumber(epochMs) : hashText(text));
  }

  #addNumber(value: number): void {
    this.#types.number++;
    // JSON text such as 1e400 is read as Infinity.
    if (!Number.isFinite(value)) return;
    this.#numbers.add(value);
    this.#numberSketch.add(value);
    if (this.#frequent.add(value)) this.#distinct.add(hashNumber(value));
  }

  merge(other: SketchedStatistics): void {
    for (const type of TYPES) this.#types[type] += other.#types[type];
    this.#nulls += other.#nulls;
    this.#distinct.merge(other.#distinct);
    this.#frequent.merge(other.#frequent);
    this.#numbers.merge(other.#numbers);
    this.#numberSketch.merge(other.#numberSketch);
    this.#times.merge(other.#times);
    this.#timeSketch.merge(other.#timeSketch);
    this.#lengths.merge(other.#lengths);
  }

  summary({ field, records }: SummaryOptions): FieldProfile {
    const values = TYPES.reduce((sum, type) => sum + this.#types[type], 0);
    const texts = this.#lengths;
    return {
      field,
      types: Object.fromEntries(
        TYPES.filter((type) => this.#types[type] > 0).map((t) => [t, this.#types[t]]),
      ),
      nulls: records === undefined ? this.#nulls : records - values,
      distinct: this.#distinct.count(),
      numbers: this.#summaryOfNumbers(),
      lengths: texts.count === 0 ? null : { min: texts.min, max: texts.max, mean: texts.mean },
      top: this.#frequent.top(TOP_VALUES),
    };
  }

  #summaryOfNumbers(): FieldProfile["numbers"] {
    const { moments, sketch } = this.#measured();
    if (moments.count === 0) return null;
    const { count, min, max, mean, deviation } = moments;
    const within = (value: number) => Math.min(Math.max(value, min), max);
    const values = quantilesOf(sketch, Object.values(QUANTILES)).map(within);
    const quantiles = Object.fromEntries(Object.keys(QUANTILES).map((name, i) => [name, values[i]!]));
    return {
      count,
      min,
      max,
      mean,
      deviation,
      quantiles: quantiles as Record<keyof typeof QUANTILES, number>,
    };
  }

  histogram({ from, to, bars }: HistogramOptions): number[] {
    const counts = new Array<number>(bars).fill(0);
    const width = (to - from) / bars;
    const { moments, sketch } = this.#measured();
    const barOf = (value: number) => Math.min(Math.max(Math.floor((value - from) / width), 0), bars - 1);
    for (const bin of sketch.bins()) {
      const low = Math.max(bin.from, moments.min);
      const high = Math.min(bin.to, moments.max);
      if (high < from || low > to) continue;
      if (high <= low || width <= 0) {
        counts[width > 0 ? barOf(high) : 0]! += bin.count;
        continue;
      }
      for (let bar = barOf(low); bar <= barOf(high); bar++) {
        const overlap = Math.min(high, from + (bar + 1) * width) - Math.max(low, from + bar * width);
        counts[bar]! += bin.count * Math.max(overlap, 0) / (high - low);
      }
    }
    return counts;
  }

  #measured(): { moments: Moments; sketch: NumberSketch | TimeSketch } {
    return this.#numbers.count > 0
      ? { moments: this.#numbers, sketch: this.#numberSketch }
      : { moments: this.#times, sketch: this.#timeSketch };
  }

  encode(): Uint8Array {
    const to = new ByteWriter();
    to.byte(VERSION);
    for (const type of TYPES) to.count(this.#types[type]);
    to.count(this.#nulls);
    const parts = [
      this.#distinct,
      this.#frequent,
      this.#numbers,
      this.#numberSketch,
      this.#times,
      this.#timeSketch,
      this.#lengths,
    ];
    for (const part of parts) part.write(to);
    return to.finish();
  }

  static read(from: ByteReader): SketchedStatistics {
    const version = from.byte();
    if (version !== VERSION) {
      throw new RangeError(
        `Cannot read statistics: they are of version ${version}, and ${VERSION} is known here`,
      );
    }
    const statistics = new SketchedStatistics();
    for (const type of TYPES) statistics.#types[type] = from.count();
    statistics.#nulls = from.count();
    statistics.#distinct = DistinctCounter.read(from);
    statistics.#frequent = FrequentValues.read(from);
    statistics.#numbers = Moments.read(from);
    statistics.#numberSketch = NumberSketch.read(from);
    statistics.#times = Moments.read(from);
    statistics.#timeSketch = TimeSketch.read(from);
    statistics.#lengths = Moments.read(from);
    return statistics;
  }
}
