import type { RunComparison, RunDetail } from "shared/contracts/model_training.ts";

/** Runs side by side, in their order: every name that one of them has, and whether the values differ. */
export function compareRuns(runs: readonly RunDetail[]): RunComparison {
  return {
    runs: runs.map(({ environment: _, gitRevision: __, artifacts: ___, trials: ____, ...run }) => run),
    origins: table(runs.map((run) => ({
      model: run.model,
      version: run.version,
      kind: run.kind,
      algorithm: run.algorithm,
      seed: run.seed,
      trainingSet: run.trainingSet,
      gitRevision: run.gitRevision,
    }))),
    parameters: table(runs.map(({ parameters }) => parameters)),
    metrics: table(runs.map(({ metrics }) => metrics)),
    tags: table(runs.map(({ tags }) => tags)),
    environment: table(runs.map(({ environment }) => environment)),
  };
}

function table(columns: readonly Readonly<Record<string, unknown>>[]): RunComparison["parameters"] {
  const names = [...new Set(columns.flatMap((column) => Object.keys(column)))].toSorted();
  return names.map((name) => {
    const values = columns.map((column) => column[name] ?? null);
    return { name, values, differs: new Set(values.map((value) => JSON.stringify(value))).size > 1 };
  });
}
