/**
 * Takes an arm that fails or is slow out of the traffic for a while: the circuit breaker (M. Nygard, Release It!, 2007,
 * section 5.2) over a sliding window of time. Pure: the time is handed in.
 *
 * @module
 */
import type { BreakerRules } from "shared/contracts/model_serving.ts";
import { durationToMs } from "shared/contracts/time.ts";

export type BreakerState = "closed" | "open" | "half_open";

/** How a call ended, as far as the breaker is concerned. */
export interface CallOutcome {
  failed: boolean;
  ms: number;
}

export interface CircuitBreaker {
  readonly state: BreakerState;
  /** Whether a call may go to the arm; one that may is reported to `record`, or taken back with `cancel`. */
  allow(now: number): boolean;
  record(outcome: CallOutcome, now: number): void;
  /** The call never reached the arm. */
  cancel(): void;
}

/** The window moves in steps of this share of its length. */
const SLOTS = 10;

interface Slot {
  /** Which step of time it counts. */
  step: number;
  calls: number;
  failed: number;
  slow: number;
}

export function createCircuitBreaker(
  rules: BreakerRules,
  onChange: (state: BreakerState) => void = () => {},
): CircuitBreaker {
  const stepMs = durationToMs(rules.window) / SLOTS;
  const pauseMs = durationToMs(rules.pause);
  const slowMs = rules.slowerThan === undefined ? Infinity : durationToMs(rules.slowerThan);
  const slots: Slot[] = Array.from(
    { length: SLOTS },
    () => ({ step: -Infinity, calls: 0, failed: 0, slow: 0 }),
  );
  let state: BreakerState = "closed";
  let openUntil = 0;
  /** While half open: probes that were let through, and those of them that did well. */
  let probing = 0;
  let passed = 0;

  function change(next: BreakerState): void {
    state = next;
    probing = 0;
    passed = 0;
    for (const slot of slots) slot.step = -Infinity;
    onChange(next);
  }

  function open(now: number): void {
    openUntil = now + pauseMs;
    change("open");
  }

  function count({ failed, ms }: CallOutcome, now: number): void {
    const step = Math.floor(now / stepMs);
    const slot = slots[step % SLOTS]!;
    if (slot.step !== step) Object.assign(slot, { step, calls: 0, failed: 0, slow: 0 });
    slot.calls++;
    if (failed) slot.failed++;
    if (ms > slowMs) slot.slow++;
  }

  function isTooBad(now: number): boolean {
    const oldest = Math.floor(now / stepMs) - SLOTS;
    let [calls, failed, slow] = [0, 0, 0];
    for (const slot of slots) {
      if (slot.step <= oldest) continue;
      calls += slot.calls;
      failed += slot.failed;
      slow += slot.slow;
    }
    if (calls < rules.minCalls) return false;
    return failed / calls >= rules.errorRate || slow / calls >= rules.slowRate;
  }

  return {
    get state() {
      return state;
    },
    allow(now) {
      if (state === "closed") return true;
      if (state === "open") {
        if (now < openUntil) return false;
        change("half_open");
      }
      if (probing >= rules.probes) return false;
      probing++;
      return true;
    },
    record(outcome, now) {
      if (state === "closed") {
        count(outcome, now);
        if ((outcome.failed || outcome.ms > slowMs) && isTooBad(now)) open(now);
      } else if (state === "half_open") {
        // One that began before the pause says nothing about now, but is no worse a witness than a probe.
        if (outcome.failed || outcome.ms > slowMs) open(now);
        else if (++passed >= rules.probes) change("closed");
      }
    },
    cancel() {
      if (state === "half_open" && probing > 0) probing--;
    },
  };
}
