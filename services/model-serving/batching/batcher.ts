/**
 * Collects the calls of one model into runs, counted in rows: those of a turn of the event loop, and where a run takes
 * its time what comes meanwhile.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import { AppError, unavailable } from "shared/errors.ts";
import type { ModelBatch } from "shared/onnx/model_batch.ts";
import type { LoadedModel, ModelAtOnce } from "../runtime/runtime.ts";

export interface BatchLimits {
  /** Rows of a run; a call with more runs alone. */
  maxRows: number;
  /** Rows that wait; what comes beyond is refused. */
  maxWaitingRows: number;
}

export const PRIORITIES = ["high", "normal", "low"] as const;
export type Priority = (typeof PRIORITIES)[number];

export interface CallTerms {
  /** By `performance.now()`: a call whose run has not begun by then is refused then. Default: none. */
  deadline?: number | undefined;
  /** Calls of a higher one run first. Default `normal`. */
  priority?: Priority | undefined;
}

/** What came of a call. */
export interface BatchAnswer {
  outputs: Float32Array;
  /** Before its run began. */
  queueMs: number;
  runMs: number;
  /** When that was over, by `performance.now()`. */
  endedAt: number;
  /** Rows of the run it was part of. */
  batchRows: number;
}

export interface Batcher {
  /** Rows that wait. */
  readonly waitingRows: number;
  /**
   * @throws {AppError} `unavailable` with Retry-After when too many rows wait, `timeout` when its deadline passed
   * before its run began, and what the run threw
   */
  predict(input: ModelBatch, terms?: CallTerms): Promise<BatchAnswer>;
}

/** As long as a timer may be. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface Waiting {
  input: ModelBatch;
  deadline: number;
  since: number;
  resolve: (answer: BatchAnswer) => void;
  reject: (error: unknown) => void;
}

export interface BatcherOptions extends BatchLimits {
  /** What it is called in errors. */
  model: string;
  /** Told of each run. */
  onRun?: (run: { calls: number; rows: number; runMs: number }) => void;
}

export function createBatcher(loaded: LoadedModel, options: BatcherOptions): Batcher {
  const { model, maxRows, maxWaitingRows, onRun } = options;
  const { predictNow, predictNext } = loaded;
  const queues: Waiting[][] = PRIORITIES.map(() => []);
  let waitingRows = 0;
  let running = false;
  /** When the next deadline of those that wait is looked at. */
  let expiry: { at: number; timer: ReturnType<typeof setTimeout> } | undefined;

  /**
   * The calls of this turn of the event loop share a run. That pays also for a runtime that gains nothing by it: their
   * answers go out together, and whoever reads them is woken once.
   */
  function wake(): void {
    if (predictNow !== undefined && waitingRows >= maxRows) return runNow(predictNow);
    if (running) return;
    running = true;
    setImmediate(() => predictNow === undefined ? void runAll() : runNow(predictNow));
  }

  function runNow(predictNow: ModelAtOnce["predictNow"]): void {
    for (let batch = take(); batch.length > 0; batch = take()) {
      try {
        const startedAt = performance.now();
        settle(batch, predictNow(joined(batch)), startedAt);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    running = false;
  }

  async function runAll(): Promise<void> {
    while (waitingRows > 0) await run();
    running = false;
  }

  /** Calls are told that they are late when they are: whoever runs before them may take seconds. */
  function lookAgainAt(deadline: number): void {
    if (deadline === Infinity || (expiry !== undefined && expiry.at <= deadline)) return;
    clearTimeout(expiry?.timer);
    const ms = Math.min(LONGEST_TIMER_MS, Math.max(0, Math.ceil(deadline - performance.now())));
    expiry = { at: deadline, timer: setTimeout(refuseLate, ms) };
  }

  function refuseLate(): void {
    expiry = undefined;
    const now = performance.now();
    let next = Infinity;
    for (const queue of queues) {
      const late = queue.filter(({ deadline }) => deadline <= now);
      if (late.length > 0) queue.splice(0, queue.length, ...queue.filter(({ deadline }) => deadline > now));
      late.forEach(refuse);
      for (const { deadline } of queue) next = Math.min(next, deadline);
    }
    lookAgainAt(next);
  }

  function refuse({ input, reject }: Waiting): void {
    waitingRows -= input.rows;
    reject(new AppError("timeout", `Cannot predict with "${model}": the deadline passed in the queue`));
  }

  /** The next calls in order of priority and arrival, up to the rows of a run; those that are too late are refused. */
  function take(): Waiting[] {
    const now = performance.now();
    const batch: Waiting[] = [];
    let rows = 0;
    for (const queue of queues) {
      let taken = 0;
      for (; taken < queue.length; taken++) {
        const call = queue[taken]!;
        if (call.deadline < now) {
          refuse(call);
          continue;
        }
        if (batch.length > 0 && rows + call.input.rows > maxRows) break;
        batch.push(call);
        rows += call.input.rows;
        waitingRows -= call.input.rows;
      }
      queue.splice(0, taken);
      // What did not fit goes before anything of a lower priority.
      if (queue.length > 0) break;
    }
    if (waitingRows === 0) {
      clearTimeout(expiry?.timer);
      expiry = undefined;
    }
    return batch;
  }

  /** Takes the calls of a run only when its turn has come: what comes before takes part, and what is late does not. */
  async function run(): Promise<void> {
    let batch: readonly Waiting[] = [];
    let startedAt = 0;
    try {
      const outputs = await predictNext!(() => {
        batch = take();
        startedAt = performance.now();
        return batch.length === 0 ? undefined : joined(batch);
      });
      if (outputs !== undefined) settle(batch, outputs, startedAt);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  /** Gives each call of a run its own rows. */
  function settle(batch: readonly Waiting[], outputs: Float32Array, startedAt: number): void {
    const endedAt = performance.now();
    const runMs = endedAt - startedAt;
    const { outputWidth } = loaded;
    const batchRows = batch.reduce((sum, call) => sum + call.input.rows, 0);
    if (outputs.length !== batchRows * outputWidth) {
      throw new AppError(
        "internal",
        `Cannot predict with "${model}": it answered ${outputs.length} values for ${batchRows} rows`,
      );
    }
    onRun?.({ calls: batch.length, rows: batchRows, runMs });
    let offset = 0;
    for (const { input: { rows }, since, resolve } of batch) {
      const end = offset + rows * outputWidth;
      // A copy: callers keep their part, and not the whole run.
      resolve({
        outputs: outputs.slice(offset, end),
        queueMs: startedAt - since,
        runMs,
        endedAt,
        batchRows,
      });
      offset = end;
    }
  }

  return {
    get waitingRows() {
      return waitingRows;
    },
    predict(input, { deadline = Infinity, priority = "normal" } = {}) {
      // A call that is larger than the bound may wait alone.
      if (waitingRows > 0 && waitingRows + input.rows > maxWaitingRows) {
        return Promise.reject(unavailable(
          `Cannot predict with "${model}": ${waitingRows} rows wait, and ${maxWaitingRows} may`,
          { retryAfter: 1 },
        ));
      }
      const { promise, resolve, reject } = Promise.withResolvers<BatchAnswer>();
      queues[PRIORITIES.indexOf(priority)]!.push({
        input,
        deadline,
        since: performance.now(),
        resolve,
        reject,
      });
      waitingRows += input.rows;
      lookAgainAt(deadline);
      wake();
      return promise;
    },
  };
}

/** The rows of several calls as those of one. */
function joined(calls: readonly Waiting[]): ModelBatch {
  const inputs = calls.map(({ input }) => input);
  const [only] = inputs;
  const isWhole = only!.numbers.byteLength === only!.numbers.buffer.byteLength;
  // What goes into a thread takes all of its buffer along.
  if (inputs.length === 1 && isWhole) return only!;
  const numbers = new Float32Array(inputs.reduce((sum, input) => sum + input.numbers.length, 0));
  let rows = 0;
  let offset = 0;
  for (const input of inputs) {
    numbers.set(input.numbers, offset);
    offset += input.numbers.length;
    rows += input.rows;
  }
  return { rows, numbers, categories: inputs.flatMap(({ categories }) => categories) };
}
