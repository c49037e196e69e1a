import { z } from "zod";
import { baseConfigSchema, integerSetting, secretSetting } from "shared/config.ts";
import { MIN_KEY_LENGTH } from "shared/privacy.ts";

const secretsKey = `must be a text of at least ${MIN_KEY_LENGTH} characters`;

export const configSchema = baseConfigSchema.extend({
  /** Most messages in one transaction. A message is a batch of up to 1,000 events. */
  INTAKE_MESSAGES: integerSetting(1, 5_000).default(32),
  /** Most bytes of records held of blocked sources; beyond it the intake of all sources waits. */
  HELD_MAX_BYTES: integerSetting(1_024, 1_099_511_627_776).default(1_073_741_824),
  /** Days for which a message, and an event in another message, is known when it comes again. */
  REPEAT_DAYS: integerSetting(1, 36_500).default(30),
  /** Most days for which a quarantined record is kept. Not longer than its source keeps its records. */
  QUARANTINE_DAYS: integerSetting(1, 36_500).default(365),
  /** Hashes what `hash` steps name: the key of data-ingestion, so that both give the same. Without it, no step may. */
  SECRETS_KEY: secretSetting(z.string().min(MIN_KEY_LENGTH, secretsKey).optional()),
  /** Days for which a profile is kept after its last change. */
  PROFILE_DAYS: integerSetting(1, 36_500).default(400),
  /** Seconds after which a window of event time that is over is judged: its last records may be on their way. */
  PROFILE_SETTLE_SECONDS: integerSetting(0, 86_400).default(10),
});
