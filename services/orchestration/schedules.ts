/** Starts pipelines by the clock, on the copy that leads. @module */
import { Cron } from "croner";
import { invalid, messageOf } from "shared/errors.ts";
import type { Logger } from "shared/log.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Pipeline } from "./trigger.ts";

export interface Schedules {
  /** Runs the schedules of these pipelines from now on, and no others. */
  set(pipelines: readonly Pipeline[]): void;
}

export interface SchedulesDeps {
  log: Logger;
  /** Starts a pipeline for a tick, which names the trigger: the same tick starts it once. */
  start: (pipeline: Pipeline, tick: string) => Promise<unknown>;
}

const OPTIONS = { timezone: "UTC", mode: "5-part" } as const;

export function createSchedules({ log, start }: SchedulesDeps): Schedules {
  let jobs: Cron[] = [];
  return {
    set(pipelines) {
      for (const job of jobs) job.stop();
      jobs = pipelines.flatMap((pipeline) => {
        const { schedule } = pipeline.body.on;
        if (schedule === undefined) return [];
        return [
          new Cron(schedule, OPTIONS, (job: Cron) => {
            const tick = toInstant((job.currentRun() ?? new Date()).setMilliseconds(0));
            start(pipeline, tick).catch((error) =>
              log.error(
                { pipeline: pipeline.name, tick },
                `Cannot start a scheduled pipeline: ${messageOf(error)}`,
              )
            );
          }),
        ];
      });
    },
  };
}

/** @throws {AppError} `invalid` when the schedule is no cron expression of five fields */
export function checkSchedule(pipeline: string, schedule: string | undefined): void {
  if (schedule === undefined) return;
  try {
    new Cron(schedule, { ...OPTIONS, paused: true });
  } catch (error) {
    throw invalid(
      `Cannot schedule the pipeline "${pipeline}": "${schedule}" must be a cron expression of five fields: ` +
        messageOf(error),
      [{ path: "/on/schedule", message: messageOf(error) }],
    );
  }
}
