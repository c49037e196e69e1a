import type { Instant } from "shared/contracts/time.ts";
import type { Cleaned } from "./cleaning.ts";

/** What is added to the counts of a source on a day. */
export interface CountsEntry {
  /** The replay; empty: the live flow. */
  run: string;
  source: string;
  day: string;
  /** Counted when they came; the other counts say what became of them. */
  received: number;
  clean: number;
  filtered: number;
  quarantined: number;
  duplicates: number;
  exploded: number;
  held: number;
  warned: number;
  /** Filtered records by reason. */
  reasons: Map<string, number>;
}

/** Counts what becomes of records, by run, source and day of arrival. */
export class Counts {
  readonly #entries = new Map<string, CountsEntry>();

  get entries(): CountsEntry[] {
    return [...this.#entries.values()];
  }

  of(flow: { run: string; source: string }, day: string): CountsEntry {
    const key = `${flow.run} ${flow.source} ${day}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = {
        run: flow.run,
        source: flow.source,
        day,
        received: 0,
        clean: 0,
        filtered: 0,
        quarantined: 0,
        duplicates: 0,
        exploded: 0,
        held: 0,
        warned: 0,
        reasons: new Map(),
      };
      this.#entries.set(key, entry);
    }
    return entry;
  }
}

export function countOutcome(entry: CountsEntry, cleaned: Cleaned): void {
  entry[cleaned.outcome]++;
  if (cleaned.outcome === "clean" && cleaned.warnings.length > 0) entry.warned++;
  if (cleaned.outcome === "filtered") {
    entry.reasons.set(cleaned.reason, (entry.reasons.get(cleaned.reason) ?? 0) + 1);
  }
}

/** The day, in UTC, on which the stream took a record. */
export function dayOf(receivedAt: Instant): string {
  return receivedAt.slice(0, "2011-05-02".length);
}
