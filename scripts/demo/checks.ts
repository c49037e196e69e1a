/**
 * The demo's own judge: what a stage must have come to. A stage that did nothing, or something else, ends the demo.
 *
 * @module
 */
import { AppError, messageOf } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import { grouped } from "./screen.ts";

/** Why the demo can't go on; shown behind the stage that it happened in. */
export class DemoFailure extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DemoFailure";
  }
}

export class Checks {
  #passed = 0;

  /** How many held so far. */
  get passed(): number {
    return this.#passed;
  }

  count(what: string, expected: number, found: number): void {
    this.#check(found === expected, what, grouped(expected), grouped(found));
  }

  atLeast(what: string, least: number, found: number): void {
    this.#check(found >= least, what, `at least ${grouped(least)}`, grouped(found));
  }

  atMost(what: string, most: number, found: number): void {
    this.#check(found <= most, what, `at most ${grouped(most)}`, grouped(found));
  }

  /** A number that was computed in another order, or rounded: equal to within `tolerance`. */
  near(what: string, expected: number, found: number | null, tolerance: number): void {
    const holds = found !== null && Math.abs(found - expected) <= tolerance;
    this.#check(holds, what, `${expected} to within ${tolerance}`, String(found));
  }

  equal(what: string, expected: string, found: string): void {
    this.#check(found === expected, what, expected, found);
  }

  /** @param expected said when the condition does not hold */
  holds(what: string, condition: boolean, { expected, found }: { expected: string; found: unknown }): void {
    this.#check(condition, what, expected, String(found));
  }

  #check(holds: boolean, what: string, expected: string, found: string): void {
    if (!holds) throw new DemoFailure(`${what}: expected ${expected}, found ${found}`);
    this.#passed++;
  }
}

export interface WaitOptions {
  /** Default 60 s. */
  timeoutMs?: number;
  /** Between two looks. Default 150 ms. */
  everyMs?: number;
}

/**
 * Looks again and again until there is something, past neighbours that are away for a moment.
 *
 * @param what what is waited for, as the error names it
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined>,
  { timeoutMs = 60_000, everyMs = 150 }: WaitOptions = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last: AppError | undefined;
  while (performance.now() < deadline) {
    try {
      const found = await look();
      if (found !== undefined) return found;
    } catch (error) {
      if (!(error instanceof AppError) || !isInfrastructureError(error)) throw error;
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  const reason = last === undefined ? "" : `: ${messageOf(last)}`;
  throw new DemoFailure(`waited ${timeoutMs / 1_000} s in vain for ${what}${reason}`);
}
