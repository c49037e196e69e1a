/** How batches follow each other through a consumer. @module */

/** How far a batch came: by the straight way, with detours, or not to its end, since the consumer ended. */
export type Passed = "straight" | "astray" | "ended";

/** A batch on its way, as the one behind it sees it. */
export interface Passage<Prepared> {
  /** Until it is written. */
  prepared: { value: Prepared } | undefined;
  /** It is prepared, and all ahead of it are written: another one may be taken. */
  readonly begun: PromiseWithResolvers<void>;
  /** It is written, and all ahead of it are done: the next may be written. */
  readonly written: PromiseWithResolvers<Passed>;
  readonly done: PromiseWithResolvers<Passed>;
}

export function newPassage<Prepared>(): Passage<Prepared> {
  return {
    prepared: undefined,
    begun: Promise.withResolvers(),
    written: Promise.withResolvers(),
    done: Promise.withResolvers(),
  };
}
