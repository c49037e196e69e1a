import { baseConfigSchema, integerSetting } from "shared/config.ts";

export const configSchema = baseConfigSchema.extend({
  /** Days of the prediction log that are kept. */
  RETENTION_DAYS: integerSetting(1, 3_650).default(90),
});
