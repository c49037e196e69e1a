/**
 * Why a version answers as it does. To read its file and to explain a thousand rows of many trees takes seconds, so that a
 * thread does it: one for all versions, which ends when nobody has asked for a while.
 *
 * @module
 */
import { AppError } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import { type ModelBatch, rowsOf, shapeOf } from "shared/onnx/model_batch.ts";
import { type OpenWorker, openWorker } from "shared/worker_call.ts";
import type { Prediction } from "../predict_call.ts";
import type { RowExplanation } from "./explain_rows.ts";
import type { ExplainTask } from "./explain_worker.ts";

/**
 * One explanation for each row of an answer.
 *
 * @param deadline by `performance.now()`
 * @throws {AppError} `unprocessable` when the version that answered can't be explained, `timeout` when it takes too long
 */
export type Explain = (
  prediction: Pick<Prediction, "served" | "checked" | "outputs">,
  deadline: number,
) => Promise<RowExplanation[]>;

export interface Explaining extends Part {
  explain: Explain;
}

export interface ExplainLimits {
  /** How long the thread may take for {@link ROWS_AT_ONCE}, in ms; default 30,000. */
  runMs?: number;
  /** The thread ends when nobody has asked for so long, in ms; default 30,000. */
  idleMs?: number;
}

/** Rows that are explained before other calls have their turn. */
const ROWS_AT_ONCE = 100;
/** Versions whose explainers a thread holds at most: for another one a new thread begins. */
const MAX_VERSIONS = 8;

interface Thread {
  worker: OpenWorker<ExplainTask, RowExplanation[]>;
  /** SHA-256 of the files that it has read. */
  knows: Set<string>;
}

/** @param readFile the ONNX file by its SHA-256: a version in memory does not keep its own */
export function createExplain(
  readFile: (sha256: string) => Promise<Uint8Array>,
  { runMs = 30_000, idleMs = 30_000 }: ExplainLimits = {},
): Explaining {
  let thread: Thread | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  let idle: ReturnType<typeof setTimeout> | undefined;

  function end(): void {
    clearTimeout(idle);
    thread?.worker[Symbol.dispose]();
    thread = undefined;
  }

  const open = (): Thread => ({
    worker: openWorker(new URL("./explain_worker.ts", import.meta.url)),
    knows: new Set(),
  });

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  }

  async function explainPart(
    sha256: string,
    batch: ModelBatch,
    outputs: Float32Array,
    deadline: number,
  ): Promise<RowExplanation[]> {
    if (performance.now() > deadline) throw tooLate();
    clearTimeout(idle);
    if (thread !== undefined && thread.knows.size >= MAX_VERSIONS && !thread.knows.has(sha256)) end();
    const its = thread ??= open();
    const task: ExplainTask = { sha256, batch, outputs };
    if (!its.knows.has(sha256)) task.file = await readFile(sha256);
    const limit = new AbortController();
    const timer = setTimeout(() => {
      end();
      limit.abort(new AppError("timeout", `Cannot explain the answer: it took more than ${runMs} ms`));
    }, runMs);
    try {
      const explanations = await its.worker.call(task, {
        signal: limit.signal,
        action: "explain the answer",
      });
      its.knows.add(sha256);
      return explanations;
    } catch (error) {
      // What it died of may be gone with it.
      if (error instanceof AppError && error.code === "internal") end();
      throw error;
    } finally {
      clearTimeout(timer);
      idle = setTimeout(end, idleMs);
    }
  }

  async function explainAll(
    { served, checked, outputs }: Parameters<Explain>[0],
    deadline: number,
  ): Promise<RowExplanation[]> {
    const explanations: RowExplanation[] = [];
    const shape = shapeOf(served.signature);
    for (let from = 0; from < checked.rows; from += ROWS_AT_ONCE) {
      const to = Math.min(checked.rows, from + ROWS_AT_ONCE);
      // Copied: a part of a buffer takes all of it along into the thread.
      const part = rowsOf(checked, { from, to }, shape);
      const width = served.model.outputWidth;
      const its = outputs.slice(from * width, to * width);
      explanations.push(
        ...await inTurn(() => explainPart(served.entry.sha256, part, its, deadline)),
      );
    }
    return explanations;
  }

  return {
    name: "explanations",
    async explain(prediction, deadline) {
      if (deadline === Infinity) return await explainAll(prediction, deadline);
      const { promise: late, reject } = Promise.withResolvers<never>();
      const timer = setTimeout(() => reject(tooLate()), Math.max(0, deadline - performance.now()));
      try {
        return await Promise.race([explainAll(prediction, deadline), late]);
      } finally {
        clearTimeout(timer);
      }
    },
    start: () => Promise.resolve(),
    stop() {
      end();
      return Promise.resolve();
    },
  };
}

const tooLate = () => new AppError("timeout", "Cannot explain the answer: the deadline passed");
