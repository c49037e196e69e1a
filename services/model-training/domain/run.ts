/** A training run on its way through its stages. @module */
import type { MetricPoint, ModelBody, Run, Trial } from "shared/contracts/model_training.ts";

/** A run as it is written down first. */
export interface NewRun
  extends Pick<Run, "id" | "project" | "kind" | "model" | "algorithm" | "seed" | "tags"> {
  /** The version of the model's definition; null where there is none. */
  definition: number | null;
  /** Planned: with every parameter of the algorithm. Null for a run that is not trained here. */
  spec: ModelBody | null;
  parameters: Readonly<Record<string, unknown>>;
  trainingSet: string | null;
  retryOf: string | null;
  /** Of an import: the logged run that its file was trained in. */
  loggedRun: string | null;
  gitRevision: string | null;
  environment: Readonly<Record<string, string>>;
  actor: string;
  reason: string;
}

/** A run that is ours until the lease runs out. */
export interface LeasedRun {
  id: string;
  project: string;
  /** Null for an ad hoc run. */
  model: string | null;
  definition: number | null;
  spec: ModelBody;
  actor: string;
  reason: string;
  tags: Readonly<Record<string, string>>;
  lease: string;
  /** Times that a copy of the service took it up, this one included. */
  attempts: number;
}

/** What a run trains, as messages name it. */
export const nameOf = ({ model }: Pick<LeasedRun, "model">): string => model ?? "an ad hoc model";

/** How far a run is. */
export interface RunPlace {
  stage: Run["stage"];
  /** Between 0 and 1, over all stages. */
  progress: number;
}

/** What a stage tells of itself. */
export interface StageProgress {
  /** How much of the stage is done, between 0 and 1. Default: as much as before. */
  share?: number;
  round?: number;
  rounds?: number;
  /** Values by round since the last word. */
  points?: readonly MetricPoint[];
  /** Trials that ended since the last word. */
  trials?: readonly Trial[];
  /** Lines worth keeping. */
  lines?: readonly string[];
}

/** Where each stage begins, as a share of a typical run's time. */
const STAGE_BEGINS = { features: 0, fit: 0.4, evaluate: 0.85, export: 0.9, register: 0.95, done: 1 } as const;
export type WorkStage = Exclude<keyof typeof STAGE_BEGINS, "done">;

const STAGES = Object.keys(STAGE_BEGINS) as (keyof typeof STAGE_BEGINS)[];

/** @param share how much of the stage is done, between 0 and 1 */
export function placeOf(stage: WorkStage, share: number): RunPlace {
  const begin = STAGE_BEGINS[stage];
  const end = STAGE_BEGINS[STAGES[STAGES.indexOf(stage) + 1]!];
  return { stage, progress: begin + (end - begin) * Math.min(1, Math.max(0, share)) };
}
