import type { CurvatureForm } from "./curvature.ts";
import { selectDesignRows } from "./design.ts";
import type { LinearProblem } from "./loss.ts";

/** Rows of the sample for each parameter of an output. */
const WANTED_ROWS = 40;
/** With fewer, the second derivatives of a sample are too far from those of all rows. */
const LEAST_ROWS = 4;
/** What second derivatives may cost, in passes over all rows: about as many as they save. */
const AFFORDABLE_PASSES = 10;
/** Parameters that are taken together at most: their second derivatives are 8 MB. */
const MAX_TOGETHER = 1_000;

export interface SamplePlan {
  /** Rows, about. */
  wanted: number;
  form: CurvatureForm;
}

/** As many rows as second derivatives are worth, in the fullest form that is. */
export function planSample(
  { design: { rows, parameters }, outputs }: LinearProblem,
  { hasL1 }: { hasL1: boolean },
): SamplePlan {
  const wanted = Math.max(WANTED_ROWS * parameters, rows / parameters);
  // With L1, parameters come and go, and others must not depend on them.
  for (const form of hasL1 ? [] : ["joint", "by_output"] as const) {
    const together = form === "joint" ? outputs : 1;
    const affordable = AFFORDABLE_PASSES * 4 * rows / (parameters * (together + 1) / 2);
    if (together * parameters <= MAX_TOGETHER && affordable >= LEAST_ROWS * parameters) {
      return { wanted: Math.min(wanted, affordable), form };
    }
  }
  return { wanted, form: "diagonal" };
}

/**
 * A problem of about `wanted` rows whose loss stands for that of all: as many rows of each class as there are, evenly
 * over the rows, and each weighs as much as those it stands for. A rare class is so not missed.
 *
 * @param options.classRows how many rows each class has; of a regression all are of one
 */
export function sampleProblem(
  problem: LinearProblem,
  { classRows, wanted }: { classRows: Float64Array; wanted: number },
): LinearProblem {
  const { design, labels, classWeights, task } = problem;
  const isRegression = task === "regression";
  const most = Math.ceil(wanted / classRows.length);
  const parts = classRows.map((rows) => Math.min(1, most / rows));
  // From the middle of what a row stands for.
  const shares = parts.map(() => 0.5);
  const selected: number[] = [];
  for (let row = 0; row < labels.length; row++) {
    const own = isRegression ? 0 : labels[row]!;
    let share = shares[own]! + parts[own]!;
    if (share >= 1) {
      selected.push(row);
      share -= 1;
    }
    shares[own] = share;
  }
  const rows = Int32Array.from(selected);
  const sampled = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) sampled[i] = labels[rows[i]!]!;
  return {
    ...problem,
    design: selectDesignRows(design, rows),
    labels: sampled,
    classWeights: classWeights.map((weight, own) => weight / parts[own]!),
  };
}
