import { baseConfigSchema, integerSetting } from "shared/config.ts";

export const configSchema = baseConfigSchema.extend({
  /** Most messages taken at a time. A message may be a batch of 1,000 events. */
  INTAKE_MESSAGES: integerSetting(1, 5_000).default(128),
  /** Largest record, in bytes of JSON. With its envelope it must fit into one NATS message. */
  MAX_RECORD_BYTES: integerSetting(1_024, 900_000).default(524_288),
  /** Days of arrival kept, today included; older partitions of events are dropped. */
  KEEP_DAYS: integerSetting(1, 36_500).default(3_650),
});
