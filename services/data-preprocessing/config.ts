import { baseConfigSchema, integerSetting } from "shared/config.ts";

export const configSchema = baseConfigSchema.extend({
  /** Most messages in one transaction. A message is a batch of up to 1,000 events. */
  INTAKE_MESSAGES: integerSetting(1, 5_000).default(32),
});
