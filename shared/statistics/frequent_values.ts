import type { ByteReader, ByteWriter } from "./bytes.ts";

/** A value that may stand in a list of frequent ones. */
export type Scalar = string | number | boolean;

/** So many values are kept: where there are no more different ones, all counts are exact. */
const KEPT = 64;
/** They are cut down to those when there are more than this. */
const MOST = 8 * KEPT;

/** Longer texts are never among the frequent values. */
export const MAX_FREQUENT_LENGTH = 100;

const TYPE = { string: 0, number: 1, true: 2, false: 3 } as const;

/**
 * The most frequent values (Misra and Gries, 1982; merged as in "Mergeable Summaries", Agarwal et al., 2012): counts are
 * lower bounds, by at most a 65th of all that was added too low. Nothing more frequent than that bound is missed.
 */
export class FrequentValues {
  #counts = new Map<Scalar, number>();
  /** How much too low a count can be; the count of a value that is not kept is not above it. */
  #error = 0;

  /** @returns whether the value is new here: if not, it was added before */
  add(value: Scalar): boolean {
    const count = this.#counts.get(value);
    if (count !== undefined) {
      this.#counts.set(value, count + 1);
      return false;
    }
    this.#counts.set(value, 1);
    if (this.#counts.size > MOST) this.#cutDown();
    return true;
  }

  merge(other: FrequentValues): void {
    for (const [value, count] of other.#counts) {
      this.#counts.set(value, (this.#counts.get(value) ?? 0) + count);
    }
    this.#error += other.#error;
    if (this.#counts.size > MOST) this.#cutDown();
  }

  /** Those that are certainly more frequent than every value that is not here, by their texts, at most so many. */
  top(limit: number): { value: string; count: number }[] {
    const byText = new Map<string, number>();
    for (const [value, count] of this.#counts) {
      if (count < this.#error) continue;
      const text = String(value);
      byText.set(text, (byText.get(text) ?? 0) + count);
    }
    return [...byText].map(([value, count]) => ({ value, count }))
      .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
      .slice(0, limit);
  }

  write(to: ByteWriter): void {
    if (this.#counts.size > KEPT) this.#cutDown();
    to.count(this.#error);
    to.count(this.#counts.size);
    for (const [value, count] of this.#counts) {
      writeScalar(to, value);
      to.count(count);
    }
  }

  static read(from: ByteReader): FrequentValues {
    const values = new FrequentValues();
    values.#error = from.count();
    for (let left = from.count(); left > 0; left--) {
      const value = readScalar(from);
      values.#counts.set(value, from.count());
    }
    return values;
  }

  /** Takes the count of the first value that is dropped from all of them, so that each is still a lower bound. */
  #cutDown(): void {
    const descending = Float64Array.from(this.#counts.values()).sort().reverse();
    const cut = descending[KEPT]!;
    const kept = new Map<Scalar, number>();
    for (const [value, count] of this.#counts) {
      if (count > cut) kept.set(value, count - cut);
    }
    this.#counts = kept;
    this.#error += cut;
  }
}

function writeScalar(to: ByteWriter, value: Scalar): void {
  switch (typeof value) {
    case "string":
      to.byte(TYPE.string);
      return to.text(value);
    case "number":
      to.byte(TYPE.number);
      return to.double(value);
    case "boolean":
      return to.byte(value ? TYPE.true : TYPE.false);
  }
}

function readScalar(from: ByteReader): Scalar {
  const type = from.byte();
  switch (type) {
    case TYPE.string:
      return from.text();
    case TYPE.number:
      return from.double();
    case TYPE.true:
      return true;
    case TYPE.false:
      return false;
    default:
      throw new RangeError(`Cannot read statistics: ${type} is no type of a frequent value`);
  }
}
