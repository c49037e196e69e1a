/** What a cleaning remembers of earlier records, as its steps need it. @module */
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";

/** An entity at a time. */
export interface EntityAt {
  /** As data-ingestion names it: the text of its one id field, or a JSON array of the texts of several. */
  entity: string;
  at: Instant;
}

/** A record that uses a key. */
export interface KeyUse {
  key: string;
  time: Instant;
  /** Of the record: orders those of one time. */
  id: string;
}

/** The uses of keys that belong together. */
export interface KeyScope {
  /** Names the step or expectation by what it means, so that it keeps its memory when others around it change. */
  name: string;
  withinMs: number;
}

/** Questions are asked for a batch at once. What is told is known from the next batch on. */
export interface Memory {
  /**
   * The (clean) states of entities of a source as they were, and were known, at these times: of the states with
   * both times not after it, the one with the greatest (event time, id). In the order of the questions.
   */
  statesOf(source: string, questions: readonly EntityAt[]): Promise<(DataRecord | undefined)[]>;
  /**
   * Whether, before each use, another of its key is remembered: earlier by (time, id), and by less than `withinMs`.
   * In the order of the uses.
   */
  wereUsed(scope: KeyScope, uses: readonly KeyUse[]): Promise<boolean[]>;
  /** Remembers uses for at least `withinMs`. One that is remembered already changes nothing. */
  rememberUses(scope: KeyScope, uses: readonly KeyUse[]): void;
}

/** Knows nothing, and forgets everything: enough for a cleaning that is `pure`. */
export const NO_MEMORY: Memory = {
  statesOf: (_source, questions) => Promise.resolve(questions.map(() => undefined)),
  wereUsed: (_scope, uses) => Promise.resolve(uses.map(() => false)),
  rememberUses() {},
};
