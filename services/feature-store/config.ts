import { baseConfigSchema, integerSetting } from "shared/config.ts";

export const configSchema = baseConfigSchema.extend({
  /** Rows times features that one training set may hold in memory (8 bytes each) while it is built. */
  TRAINING_SET_MAX_VALUES: integerSetting(1_000, 500_000_000).default(50_000_000),
  /** How long a training set waits for its builder to be heard of before another copy takes over. */
  TRAINING_SET_LEASE_SECONDS: integerSetting(1, 3_600).default(20),
});
