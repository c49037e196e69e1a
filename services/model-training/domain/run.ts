/** A training run on its way through its stages. @module */
import type { ModelBody, Run } from "shared/contracts/model_training.ts";

/** A run as it was asked for. */
export interface QueuedRun {
  id: string;
  project: string;
  model: string;
  /** The version of the model's definition. */
  definition: number;
  /** Planned: with every parameter of the algorithm. */
  spec: ModelBody;
  actor: string;
  reason: string;
}

/** A run that is ours until the lease runs out. */
export interface LeasedRun extends QueuedRun {
  lease: string;
  /** Times that a copy of the service took it up, this one included. */
  attempts: number;
}

/** How far a run is. */
export interface RunPlace {
  stage: Run["stage"];
  /** Between 0 and 1, over all stages. */
  progress: number;
}

/** Where each stage begins, as a share of a typical run's time. */
const STAGE_BEGINS = { features: 0, fit: 0.4, evaluate: 0.85, export: 0.9, register: 0.95, done: 1 } as const;
export type WorkStage = Exclude<keyof typeof STAGE_BEGINS, "done">;

const STAGES = Object.keys(STAGE_BEGINS) as (keyof typeof STAGE_BEGINS)[];

/** @param share how much of the stage is done, between 0 and 1 */
export function placeOf(stage: WorkStage, share: number): RunPlace {
  const begin = STAGE_BEGINS[stage];
  const end = STAGE_BEGINS[STAGES[STAGES.indexOf(stage) + 1]!];
  return { stage, progress: begin + (end - begin) * share };
}
