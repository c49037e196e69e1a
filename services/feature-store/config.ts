import { baseConfigSchema, integerSetting } from "shared/config.ts";

export const configSchema = baseConfigSchema.extend({
  /** Rows times features that one training set may hold in memory (8 bytes each) while it is built. */
  TRAINING_SET_MAX_VALUES: integerSetting(1_000, 500_000_000).default(50_000_000),
  /** Threads that work on a training set, each with a connection of its own. */
  TRAINING_SET_THREADS: integerSetting(1, 16).default(2),
  /** Rows times features for each of them: with less to do a thread is not worth its start and its memory. */
  TRAINING_SET_THREAD_VALUES: integerSetting(1, 500_000_000).default(2_000_000),
  /** How long a training set waits for its builder to be heard of before another copy takes over. */
  TRAINING_SET_LEASE_SECONDS: integerSetting(1, 3_600).default(20),
  /** How often logged predictions are compared with their features computed anew; 0: only when asked. */
  CONSISTENCY_CHECK_SECONDS: integerSetting(0, 2_592_000).default(3_600),
  /** For so long after their T published labels are corrected; after that they are forgotten. */
  LABEL_CORRECTION_DAYS: integerSetting(1, 36_500).default(400),
  /** How often it is looked at what the features of a sample of entities hold; 0: never. */
  FEATURE_STATISTICS_SECONDS: integerSetting(0, 2_592_000).default(3_600),
  /** For so long events that no view describes an entity of are kept for views to come. */
  UNREAD_EVENT_DAYS: integerSetting(1, 36_500).default(400),
  /** How often buckets are removed that no window reaches any more; 0: never. */
  OLD_BUCKETS_SECONDS: integerSetting(0, 2_592_000).default(86_400),
});
