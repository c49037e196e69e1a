/** What waits for NATS: first in, first out, within a bound, with every loss counted. @module */
import type { LogPolicy } from "shared/contracts/model_serving.ts";
import type { LogEntry } from "./log_entry.ts";
import type { NumberedEntry } from "./encode_entries.ts";

export interface LogQueue {
  /** Records made so far: the sequence of the next one. */
  readonly head: number;
  readonly waiting: number;
  readonly dropped: number;
  /** Whether so many more would have to drop something. */
  isFull(more: number): boolean;
  push(entry: LogEntry): void;
  /** Takes the oldest out; they count as waiting until `settle`. */
  take(most: number): NumberedEntry[];
  /** What was taken is in the stream, or is given up. */
  settle(count: number): void;
}

export function createLogQueue(policy: () => Pick<LogPolicy, "buffer" | "whenFull">): LogQueue {
  let entries: NumberedEntry[] = [];
  /** Those before it are gone; the list is cut when that is half of it. */
  let first = 0;
  let head = 0;
  let taken = 0;
  let dropped = 0;

  const size = () => entries.length - first + taken;

  function forget(count: number): void {
    first += count;
    if (first * 2 < entries.length) return;
    entries = entries.slice(first);
    first = 0;
  }

  return {
    get head() {
      return head;
    },
    get waiting() {
      return size();
    },
    get dropped() {
      return dropped;
    },
    isFull: (more) => size() + more > policy().buffer,
    push(entry) {
      const numbered = { entry, sequence: head++ };
      const { buffer, whenFull } = policy();
      if (size() >= buffer) {
        dropped++;
        // What is on its way can't be dropped any more.
        if (whenFull === "drop_newest" || entries.length === first) return;
        forget(1);
      }
      entries.push(numbered);
    },
    take(most) {
      const batch = entries.slice(first, first + most);
      taken += batch.length;
      forget(batch.length);
      return batch;
    },
    settle(count) {
      taken -= count;
    },
  };
}
