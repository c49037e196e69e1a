/**
 * Starting things in order and releasing them in reverse, in good time, when a signal comes.
 *
 * @module
 */
import { messageOf } from "./errors.ts";
import type { Logger } from "./log.ts";

/** Something with a lifetime: a consumer, a relay, a watcher. */
export interface Part {
  name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * What must be released, in the reverse of the order in which it was added. Everything is released, once, also
 * when a release fails; the first error is the one thrown, the others are logged.
 */
export class Releases implements AsyncDisposable {
  readonly #log: Logger;
  readonly #entries: { name: string; release: () => Promise<void> }[] = [];
  #released: Promise<void> | undefined;
  #current: string | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** What is being released at the moment: the one to name when it hangs. */
  get current(): string | undefined {
    return this.#current;
  }

  add(name: string, release: () => Promise<void>): void {
    this.#entries.push({ name, release });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#released ??= this.#releaseAll();
  }

  async #releaseAll(): Promise<void> {
    const errors: unknown[] = [];
    for (let entry = this.#entries.pop(); entry !== undefined; entry = this.#entries.pop()) {
      this.#current = entry.name;
      try {
        await entry.release();
      } catch (error) {
        if (errors.length > 0) this.#log.error({ err: error }, `Cannot release ${entry.name}`);
        errors.push(error);
      }
    }
    this.#current = undefined;
    if (errors.length > 0) throw errors[0];
  }
}

/**
 * Starts the parts one after the other. When one fails, those before it are stopped, and its error is thrown.
 *
 * @param options.into where their stops are added; default: a list of their own
 * @returns what stops them, in reverse
 */
export async function startParts(
  parts: readonly Part[],
  log: Logger,
  options: { into?: Releases } = {},
): Promise<Releases> {
  const { into = new Releases(log) } = options;
  for (const part of parts) {
    try {
      await part.start();
    } catch (error) {
      log.error({ err: error }, `Cannot start ${part.name}: ${messageOf(error)}`);
      await releaseAfterFailure(into, log);
      throw error;
    }
    into.add(part.name, () => part.stop());
  }
  return into;
}

/** Releases what had been started when a start failed: that failure is the one to report, not this one. */
export async function releaseAfterFailure(releases: Releases, log: Logger): Promise<void> {
  try {
    await releases[Symbol.asyncDispose]();
  } catch (error) {
    log.error({ err: error }, "Cannot release everything after a failed start");
  }
}

/** How long a process may take to release what it holds. */
export const RELEASE_LIMIT_MS = 10_000;

export type StopSignal = "SIGINT" | "SIGTERM";

export interface StopSignals extends Disposable {
  /** Resolves with the first signal. */
  readonly first: Promise<StopSignal>;
}

/**
 * One Ctrl-C may come twice: from the terminal, which sends it to the whole group of processes, and passed on by
 * the program between (`deno task` does). Only what comes later than this is impatience.
 */
const SAME_SIGNAL_WITHIN_MS = 500;

/** Watches for SIGTERM and SIGINT; a second one ends the process at once. */
export function watchStopSignals(log: Logger): StopSignals {
  const { promise: first, resolve } = Promise.withResolvers<StopSignal>();
  let firstAt: number | undefined;
  const signals: readonly StopSignal[] = ["SIGINT", "SIGTERM"];
  const listeners = signals.map((signal) => {
    const listener = () => {
      firstAt ??= performance.now();
      if (performance.now() - firstAt > SAME_SIGNAL_WITHIN_MS) {
        log.warn(`${signal} came again: ending at once`);
        Deno.exit(exitCodeOf(signal));
      }
      resolve(signal);
    };
    Deno.addSignalListener(signal, listener);
    return { signal, listener };
  });
  return {
    first,
    [Symbol.dispose]() {
      for (const { signal, listener } of listeners) Deno.removeSignalListener(signal, listener);
    },
  };
}

/** What a shell makes of a process that a signal ended. */
function exitCodeOf(signal: StopSignal): number {
  return signal === "SIGINT" ? 130 : 143;
}

/**
 * Releases within the limit.
 *
 * @returns whether everything was released; if not, why is in the log, with the name of what hung
 */
export async function releaseInTime(
  releases: Releases,
  log: Logger,
  options: { limitMs?: number } = {},
): Promise<boolean> {
  const { limitMs = RELEASE_LIMIT_MS } = options;
  const { promise: late, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), limitMs);
  try {
    const outcome = await Promise.race([releases[Symbol.asyncDispose](), late]);
    if (outcome !== "late") return true;
    log.error(`Cannot stop in time: "${releases.current}" was not released within ${limitMs / 1000} s`);
    return false;
  } catch (error) {
    log.error({ err: error }, `Cannot release everything: ${messageOf(error)}`);
    return false;
  } finally {
    clearTimeout(timer);
  }
}
