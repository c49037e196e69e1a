/** When a pipeline starts, and what its steps are. Pure. @module */
import type { PipelineBody, PipelineRun } from "shared/contracts/orchestration.ts";
import { durationToMs, type Instant } from "shared/contracts/time.ts";

export type Trigger = PipelineRun["trigger"];
export type Step = PipelineRun["steps"][number];
export type StepName = Step["name"];

export const STEP_NAMES: readonly StepName[] = ["train", "compare", "promote", "confirm"];

/** The steps of a run that has not begun. */
export function waitingSteps(): Step[] {
  return STEP_NAMES.map((name) => ({
    name,
    status: "waiting",
    startedAt: null,
    finishedAt: null,
    result: null,
  }));
}

/**
 * A new run for a trigger. Within the cooldown after the last run's start it is kept as skipped, with the reason; a
 * person who starts a pipeline by hand is not held back.
 *
 * @param lastStart when the last run of this pipeline that was not skipped began
 */
export function newRun(
  pipeline: { name: string; project: string; body: PipelineBody },
  trigger: Trigger,
  options: { id: string; at: Instant; lastStart: Instant | undefined },
): PipelineRun {
  const { id, at, lastStart } = options;
  const cooldownEnds = lastStart === undefined
    ? -Infinity
    : Date.parse(lastStart) + durationToMs(pipeline.body.cooldown);
  const skipped = trigger.kind !== "manual" && Date.parse(at) < cooldownEnds;
  return {
    id,
    pipeline: pipeline.name,
    project: pipeline.project,
    model: pipeline.body.model,
    trigger,
    status: skipped ? "skipped" : "running",
    error: skipped ? `within the cooldown of ${pipeline.body.cooldown} after the run of ${lastStart}` : null,
    steps: skipped ? [] : waitingSteps(),
    startedAt: at,
    finishedAt: skipped ? at : null,
  };
}

/** The steps with one of them changed. */
export function withStep(steps: readonly Step[], name: StepName, change: Partial<Step>): Step[] {
  return steps.map((step) => step.name === name ? { ...step, ...change } : step);
}

/** The steps of a run that ended: a step that was running failed, one that waited was skipped. */
export function endedSteps(steps: readonly Step[], at: Instant): Step[] {
  return steps.map((step) => {
    if (step.status === "running") return { ...step, status: "failed", finishedAt: at };
    return step.status === "waiting" ? { ...step, status: "skipped" } : step;
  });
}
