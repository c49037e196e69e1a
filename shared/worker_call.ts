/**
 * Work in a thread of its own, which ends with everything it held when it has answered. Heavy work
 * would block the event loop, and what a WASM runtime has taken it never gives back.
 *
 * @module
 */
import { AppError, type ErrorCode, messageOf, type Reason } from "./errors.ts";

/** An error as it crosses the border of a thread, where it would lose its class. */
interface ErrorData {
  /** Absent for what is no {@link AppError}. */
  code?: ErrorCode;
  message: string;
  reasons: readonly Reason[];
  stack?: string | undefined;
}

type FromWorker = { progress: unknown } | { output: unknown } | { error: ErrorData };

export interface WorkerCallOptions<Progress> {
  /** Buffers of the input that move to the thread instead of being copied: they are empty here afterwards. */
  transfer?: Transferable[];
  onProgress?: (progress: Progress) => void;
  /** Ends the thread at once, wherever it is. */
  signal?: AbortSignal;
  /** Ends it after this time. Default: never. */
  limitSeconds?: number;
  /** What can't be done when it is ended or dies, for the error: `check the file`. Default: `finish the work`. */
  action?: string;
}

/**
 * Runs a module that calls {@link answerCalls} in a new thread, gives it the input, and resolves with its output.
 *
 * @throws what the work threw, an {@link AppError} as one; the signal's reason; `unprocessable` after the time limit;
 * `internal` when the thread died
 */
export async function callWorker<Input, Output, Progress = never>(
  module: URL,
  input: Input,
  options: WorkerCallOptions<Progress> = {},
): Promise<Output> {
  options.signal?.throwIfAborted();
  using worker = openWorker<Input, Output, Progress>(module);
  return await worker.call(input, options);
}

/** A thread that is asked more than once. Disposing of it ends it, wherever it is. */
export interface OpenWorker<Input, Output, Progress = never> extends Disposable {
  /** As {@link callWorker}; one call at a time. A call that was given up leaves a thread that is good for nothing more. */
  call(input: Input, options?: WorkerCallOptions<Progress>): Promise<Output>;
}

export function openWorker<Input, Output, Progress = never>(
  module: URL,
): OpenWorker<Input, Output, Progress> {
  const worker = new Worker(module, { type: "module" });
  let death: string | undefined;
  let onDeath = () => {};
  worker.onerror = (event) => {
    event.preventDefault();
    death = event.message.split("\n")[0]!;
    onDeath();
  };
  return {
    async call(input, { transfer = [], onProgress, signal, limitSeconds, action = "finish the work" } = {}) {
      const { promise, resolve, reject } = Promise.withResolvers<Output>();
      const abort = () => reject(signal?.reason);
      signal?.addEventListener("abort", abort);
      const limit = limitSeconds === undefined
        ? undefined
        : setTimeout(() => reject(tooSlow(action, limitSeconds)), limitSeconds * 1_000);
      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        if ("progress" in data) onProgress?.(data.progress as Progress);
        else if ("output" in data) resolve(data.output as Output);
        else reject(toError(data.error));
      };
      onDeath = () => reject(new AppError("internal", `Cannot ${action}: its thread died: ${death}`));
      // One that died before it was asked.
      if (death !== undefined) onDeath();
      try {
        worker.postMessage(input, transfer);
        return await promise;
      } finally {
        signal?.removeEventListener("abort", abort);
        clearTimeout(limit);
      }
    },
    [Symbol.dispose]: () => worker.terminate(),
  };
}

const tooSlow = (action: string, seconds: number) =>
  new AppError("unprocessable", `Cannot ${action}: it took longer than the ${seconds} s it may take`);

export interface WorkerAnswer<Output> {
  output: Output;
  /** Buffers of the output that move instead of being copied. */
  transfer?: Transferable[];
}

/** A thread's side of the border; the types of a whole program don't have it. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<unknown>) => void) | null;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
}

/**
 * The thread's side of {@link callWorker} and {@link openWorker}. Call it before any await, and let `work` import what takes long to load:
 * a message that comes while a module is still loading would find nobody.
 */
export function answerCalls<Input, Output, Progress = never>(
  work: (input: Input, tell: (progress: Progress) => void) => Promise<WorkerAnswer<Output>>,
): void {
  const scope = globalThis as unknown as WorkerScope;
  scope.onmessage = async ({ data }) => {
    try {
      const { output, transfer } = await work(
        data as Input,
        (progress) => scope.postMessage({ progress }),
      );
      scope.postMessage({ output }, transfer ?? []);
    } catch (error) {
      scope.postMessage({ error: toData(error) });
    }
  };
}

function toData(error: unknown): ErrorData {
  if (error instanceof AppError) {
    return { code: error.code, message: error.message, reasons: error.reasons, stack: error.stack };
  }
  return {
    message: messageOf(error),
    reasons: [],
    ...(error instanceof Error ? { stack: error.stack } : {}),
  };
}

function toError({ code, message, reasons, stack }: ErrorData): Error {
  const error = code === undefined ? new Error(message) : new AppError(code, message, { reasons });
  if (stack !== undefined) error.stack = stack;
  return error;
}
