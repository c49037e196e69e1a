import { baseConfigSchema, integerSetting } from "shared/config.ts";

export const configSchema = baseConfigSchema.extend({
  /** Runs that this copy trains at once, each in a thread of its own. Default: one core is left to the service. */
  RUNS_AT_ONCE: integerSetting(1, 64).default(() => Math.max(1, navigator.hardwareConcurrency - 1)),
  /** How long after the last word of its copy another one may take over a run. */
  RUN_LEASE_SECONDS: integerSetting(1, 3_600).default(30),
  /** How long one attempt at a run may take, waiting for neighbours included, before the run has failed. */
  RUN_LIMIT_SECONDS: integerSetting(1, 7 * 86_400).default(3_600),
});
