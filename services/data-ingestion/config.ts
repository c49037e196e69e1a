import { z } from "zod";
import { baseConfigSchema, integerSetting, secretSetting } from "shared/config.ts";
import { MIN_KEY_LENGTH } from "shared/privacy.ts";

const secretsKey = `must be a text of at least ${MIN_KEY_LENGTH} characters`;

const MiB = 1024 * 1024;

export const configSchema = baseConfigSchema.extend({
  /** Most messages taken at a time. A message may be a batch of 1,000 events. */
  INTAKE_MESSAGES: integerSetting(1, 5_000).default(2_000),
  /** Largest record, in bytes of JSON. With its envelope it must fit into one NATS message. */
  MAX_RECORD_BYTES: integerSetting(1_024, 900_000).default(524_288),
  /** Days of arrival kept, today included: the default of sources, and the most that they may ask for. */
  KEEP_DAYS: integerSetting(1, 36_500).default(3_650),
  /** Hashes and seals the secrets of sources. Without it, a source may have none. */
  SECRETS_KEY: secretSetting(z.string().min(MIN_KEY_LENGTH, secretsKey).optional()),
  /** Bytes of HTTP bodies that may be in memory at a time; what comes beyond is answered with 503. */
  INTAKE_BYTES: integerSetting(8 * MiB, 16_384 * MiB).default(128 * MiB),
  /** Single events that may be stored at a time while their senders wait. */
  MAX_WAITING: integerSetting(1, 10_000).default(256),
  /** Seconds that PostgreSQL may take before whoever waits for it is told to try again. */
  ANSWER_SECONDS: integerSetting(1, 300).default(10),
  /** A body of which less than 1 KiB comes in so many seconds is given up. */
  SLOW_BODY_SECONDS: integerSetting(1, 3_600).default(30),
  /** Largest Parquet file, in bytes: it lies on the disk while it is read. */
  MAX_SPOOL_BYTES: integerSetting(MiB, 1_048_576 * MiB).default(8_192 * MiB),
});
