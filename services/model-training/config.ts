import { z } from "zod";
import { baseConfigSchema, integerSetting } from "shared/config.ts";

export const configSchema = baseConfigSchema.extend({
  /** Runs that this copy trains at once, each in a thread of its own. Default: one core is left to the service. */
  RUNS_AT_ONCE: integerSetting(1, 64).default(() => Math.max(1, navigator.hardwareConcurrency - 1)),
  /** Most threads that a run learns with. Default: those that the cores leave it, less one for the service. */
  THREADS_PER_RUN: integerSetting(1, 256).optional(),
  /** How long after the last word of its copy another one may take over a run. */
  RUN_LEASE_SECONDS: integerSetting(1, 3_600).default(30),
  /** How long one attempt at a run may take, waiting for neighbours included, before the run has failed. */
  RUN_LIMIT_SECONDS: integerSetting(1, 7 * 86_400).default(3_600),
  /** A trainer outside the service that says nothing for this long is given up. */
  TRAINER_SILENCE_SECONDS: integerSetting(1, 86_400).default(600),
  /** How long to wait for a trainer of an algorithm to be there. */
  TRAINER_WAIT_SECONDS: integerSetting(0, 86_400).default(10),
  /** Largest file of a model or another artifact, in MiB. */
  FILE_LIMIT_MIB: integerSetting(1, 2_000).default(256),
  /** How long checks of an imported file may take; one that takes longer is refused. */
  IMPORT_LIMIT_SECONDS: integerSetting(1, 3_600).default(30),
  /** A run of someone's own code that logs nothing for so many hours has failed. */
  LOGGED_SILENCE_HOURS: integerSetting(1, 87_600).default(168),
  /** The progress events of a run are kept for so many days after its end; the last one stays. */
  PROGRESS_DAYS: integerSetting(1, 36_500).default(30),
  /** A run that registered no version is kept for so many days after its end; those of versions stay. */
  RUN_DAYS: integerSetting(1, 36_500).default(730),
  /** Of the code that runs, kept with each run. */
  GIT_REVISION: z.string().max(100).default(""),
});
