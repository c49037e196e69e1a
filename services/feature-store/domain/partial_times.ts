import type { FeatureValue } from "shared/contracts/feature_store.ts";
import type { History } from "./history.ts";
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

/** Fields as they stand in the first or the last record by (event time, id). */
export class EdgePartial implements PartialAggregate {
  readonly #fields: readonly number[];
  readonly #isLast: boolean;
  #time: number | undefined;
  #id = "";
  /** That record, where it was taken in itself ... */
  #record: { history: History; position: number } | undefined;
  /** ... or what was kept of it: event time, id, and the values. */
  #kept: PartialState | undefined;

  constructor({ kind, fields }: { kind: "first" | "last"; fields: readonly number[] }) {
    this.#fields = fields;
    this.#isLast = kind === "last";
  }

  /** Null as well without a record. */
  value(place: number): FeatureValue {
    if (this.#kept !== undefined) return this.#kept[2 + place] as FeatureValue;
    if (this.#record === undefined) return null;
    const { history, position } = this.#record;
    return history.value(this.#fields[place]!, position);
  }

  add(history: History, positions: Int32Array): void {
    if (positions.length === 0) return;
    const position = positions[this.#isLast ? positions.length - 1 : 0]!;
    const time = history.times[position]!;
    const id = history.ids[position]!;
    if (!this.#isNearer(time, id)) return;
    this.#time = time;
    this.#id = id;
    this.#record = { history, position };
    this.#kept = undefined;
  }

  merge(state: PartialState): void {
    const [time, id] = state as [number, string];
    if (!this.#isNearer(time, id)) return;
    this.#time = time;
    this.#id = id;
    this.#record = undefined;
    this.#kept = state;
  }

  state(): PartialState | null {
    if (this.#time === undefined) return null;
    return this.#kept ?? [this.#time, this.#id, ...this.#fields.map((_, place) => this.value(place))];
  }

  #isNearer(time: number, id: string): boolean {
    if (this.#time === undefined) return true;
    if (time !== this.#time) return time > this.#time === this.#isLast;
    return compareText(id, this.#id) > 0 === this.#isLast;
  }
}
