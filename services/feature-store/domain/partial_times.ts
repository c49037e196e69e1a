import type { FeatureValue } from "shared/contracts/feature_store.ts";
import { type History, toFeatureValue } from "./history.ts";
import type { PartialAggregate, PartialState } from "./partial.ts";
import { compareText } from "./text_order.ts";

/** How many records there are, and when the first and the last one were. */
export class PresencePartial implements PartialAggregate {
  count = 0;
  first = Infinity;
  last = -Infinity;

  add({ times }: History, positions: Int32Array): void {
    if (positions.length === 0) return;
    this.#take(positions.length, times[positions[0]!]!, times[positions[positions.length - 1]!]!);
  }

  merge(state: PartialState): void {
    const [count, first, last] = state as [number, number, number];
    this.#take(count, first, last);
  }

  state(): PartialState | null {
    return this.count === 0 ? null : [this.count, this.first, this.last];
  }

  #take(count: number, first: number, last: number): void {
    this.count += count;
    this.first = Math.min(this.first, first);
    this.last = Math.max(this.last, last);
  }
}

/** A field as it stands in the first or the last record by (event time, id). */
export class EdgePartial implements PartialAggregate {
  value: FeatureValue = null;
  readonly #field: number;
  readonly #isLast: boolean;
  #time: number | undefined;
  #id = "";

  constructor({ kind, field }: { kind: "first" | "last"; field: number }) {
    this.#field = field;
    this.#isLast = kind === "last";
  }

  add({ times, ids, values }: History, positions: Int32Array): void {
    if (positions.length === 0) return;
    const position = positions[this.#isLast ? positions.length - 1 : 0]!;
    const time = times[position]!;
    if (this.#isNearer(time, ids[position]!)) {
      this.#take(time, ids[position]!, toFeatureValue(values(this.#field)[position]));
    }
  }

  merge(state: PartialState): void {
    const [time, id, value] = state as [number, string, FeatureValue];
    if (this.#isNearer(time, id)) this.#take(time, id, value);
  }

  state(): PartialState | null {
    return this.#time === undefined ? null : [this.#time, this.#id, this.value];
  }

  #isNearer(time: number, id: string): boolean {
    if (this.#time === undefined) return true;
    if (time !== this.#time) return time > this.#time === this.#isLast;
    return compareText(id, this.#id) > 0 === this.#isLast;
  }

  #take(time: number, id: string, value: FeatureValue): void {
    this.#time = time;
    this.#id = id;
    this.value = value;
  }
}
