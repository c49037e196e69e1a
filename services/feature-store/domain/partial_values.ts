import type { FeatureValue } from "shared/contracts/feature_store.ts";
import { ByteReader, ByteWriter } from "shared/statistics/bytes.ts";
import { DistinctCounter } from "shared/statistics/distinct_counter.ts";
import { hashBoolean, hashNumber, hashText } from "shared/statistics/hash.ts";
import type { History } from "./history.ts";
import type { PartialAggregate, PartialState } from "./partial.ts";

type Scalar = string | number | boolean;

/**
 * The values of a field: texts, numbers and booleans, everything else is none.
 *
 * They are kept with their counts, up to a bound. Beyond it, distinct values are counted by a sketch, which is the same
 * whatever the parts were, and of the counted values the most frequent are kept, so that the most frequent one may be
 * missed where none is much more frequent than the others. Whether the bound is passed does not depend on the parts.
 */
export class ValuesPartial implements PartialAggregate {
  readonly #field: number;
  readonly #exactUpTo: number;
  /** Whether counts are wanted; else how often a value comes is not kept. */
  readonly #counted: boolean;
  #counts = new Map<Scalar, number>();
  #sketch: DistinctCounter | undefined;

  constructor(options: { field: number; exactUpTo: number; counted: boolean }) {
    this.#field = options.field;
    this.#exactUpTo = options.exactUpTo;
    this.#counted = options.counted;
  }

  get approximate(): boolean {
    return this.#sketch !== undefined;
  }

  distinct(): number {
    return this.#sketch?.count() ?? this.#counts.size;
  }

  /** Of equally frequent values the one whose JSON text comes first; null without any. */
  mostFrequent(): FeatureValue {
    let best: Scalar | null = null;
    let most = 0;
    for (const [value, count] of this.#counts) {
      if (count < most || (count === most && !comesFirst(value, best))) continue;
      best = value;
      most = count;
    }
    return best;
  }

  add(history: History, positions: Int32Array): void {
    for (let index = 0; index < positions.length; index++) {
      const value = history.value(this.#field, positions[index]!);
      if (value !== null) this.#take(value, 1);
    }
  }

  merge(state: PartialState): void {
    const [values, counts, sketch] = state as [Scalar[], number[] | null, string | null];
    if (sketch !== null) this.#sketched().merge(DistinctCounter.read(new ByteReader(fromBase64(sketch))));
    values.forEach((value, index) => this.#take(value, counts?.[index] ?? 1));
  }

  state(): PartialState | null {
    if (this.#counts.size === 0 && this.#sketch === undefined) return null;
    this.#cutDown(this.#exactUpTo);
    const values = [...this.#counts.keys()];
    const counts = this.#counted ? [...this.#counts.values()] : null;
    if (this.#sketch === undefined) return [values, counts, null];
    const writer = new ByteWriter();
    this.#sketch.write(writer);
    return [values, counts, toBase64(writer.finish())];
  }

  #take(given: Scalar, times: number): void {
    // -0 is 0, also in JSON.
    const value = given === 0 ? 0 : given;
    this.#sketch?.add(hashOf(value));
    if (this.#sketch !== undefined && !this.#counted) return;
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + (this.#counted ? times : 0));
    if (this.#counts.size <= this.#exactUpTo) return;
    this.#sketched();
    this.#cutDown(2 * this.#exactUpTo);
  }

  #sketched(): DistinctCounter {
    if (this.#sketch === undefined) {
      this.#sketch = new DistinctCounter();
      for (const value of this.#counts.keys()) this.#sketch.add(hashOf(value));
      if (!this.#counted) this.#counts.clear();
    }
    return this.#sketch;
  }

  #cutDown(most: number): void {
    if (this.#counts.size <= most) return;
    const ordered = [...this.#counts].sort(([a, countA], [b, countB]) =>
      countB - countA || (comesFirst(a, b) ? -1 : 1)
    );
    this.#counts = new Map(ordered.slice(0, this.#exactUpTo));
  }
}

function comesFirst(a: Scalar, b: Scalar | null): boolean {
  return b === null || JSON.stringify(a) < JSON.stringify(b);
}

function hashOf(value: Scalar): number {
  switch (typeof value) {
    case "string":
      return hashText(value);
    case "number":
      return hashNumber(value);
    default:
      return hashBoolean(value as boolean);
  }
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
