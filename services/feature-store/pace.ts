import { setImmediate } from "node:timers/promises";

/** Long work takes turns with everything else that the process has to answer. */
export interface Pace {
  /** Lets others run when the last turn is longer ago than a turn may be. @throws the signal's reason */
  breathe(): Promise<void>;
}

const TURN_MS = 2;

export function createPace(signal: AbortSignal): Pace {
  let since = performance.now();
  return {
    async breathe() {
      if (performance.now() - since < TURN_MS) return;
      await setImmediate();
      signal.throwIfAborted();
      since = performance.now();
    },
  };
}
