import { invalid } from "shared/errors.ts";
import { boost, type BoostedTrees, boostingMemory, type BoostingTask, type RoundReport } from "./boosting.ts";
import { MAX_ROWS } from "./histogram.ts";
import { createObjective, type ObjectiveName } from "./objective.ts";
import { failTeam, joinTeam, TEAM_WORDS } from "./team.ts";
import type { ToMember } from "./tree_thread.ts";

/** Cells (rows times features) below which a second thread costs more than it does. */
const CELLS_PER_THREAD = 100_000;

/**
 * Grows the trees on at most `threads` threads, this one included, which is busy until they are grown.
 *
 * @throws {AppError} `invalid` for more rows than sums of their derivatives are exact for
 */
export async function fitTrees(
  task: BoostingTask,
  objective: ObjectiveName,
  options: { threads: number; onRound?: (report: RoundReport) => void },
): Promise<BoostedTrees> {
  const { rows, columns } = task.train;
  if (rows > MAX_ROWS) {
    throw invalid(
      `Cannot grow trees: there are ${rows} rows, at most ${MAX_ROWS} are accepted: learn from a sample, or with a trainer outside this service`,
    );
  }
  const useful = Math.max(1, Math.ceil(rows * columns.length / CELLS_PER_THREAD));
  const size = Math.max(1, Math.min(options.threads, useful));
  const memory = boostingMemory(task, size);
  const words = new Int32Array(new SharedArrayBuffer(4 * TEAM_WORDS));
  const helpers = await Promise.all(
    Array.from(
      { length: size - 1 },
      (_, index) => startHelper({ task, objective, memory, words, rank: index + 1, size }),
    ),
  );
  try {
    const { onRound } = options;
    const team = joinTeam(words, 0, size);
    return boost(task, createObjective(objective, task), { memory, team, ...(onRound ? { onRound } : {}) });
  } catch (error) {
    failTeam(words);
    throw error;
  } finally {
    for (const helper of helpers) helper.terminate();
  }
}

/** Resolves when the thread is at work. */
async function startHelper(task: ToMember): Promise<Worker> {
  const helper = new Worker(new URL("./tree_thread.ts", import.meta.url), { type: "module" });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  helper.onmessage = () => resolve();
  helper.onerror = (event) => {
    event.preventDefault();
    reject(new Error(`Cannot start a thread: ${event.message}`));
  };
  helper.postMessage(task);
  await promise;
  return helper;
}
