/** Profiles as people read them. @module */
import type { Profile } from "shared/contracts/data_preprocessing.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import {
  createRecordStatistics,
  decodeRecordStatistics,
  type RecordStatistics,
} from "shared/statistics/record_statistics.ts";
import type { WindowRules } from "../domain/windows/rules.ts";
import { listProfiles } from "../repository/profiles.ts";

/** A profile with the statistics that it was made from. */
export interface MeasuredProfile {
  profile: Profile;
  statistics: RecordStatistics;
}

export interface ProfilesRequest {
  source: string;
  limit: number;
  /** Windows that begin before this. */
  before?: Instant | undefined;
}

/** Newest first, in windows of the length that the rules say; with all that is stored by now. */
export async function measuredProfiles(
  db: Database,
  { source, limit, before }: ProfilesRequest,
  { profile: { window }, profileMs }: WindowRules,
): Promise<MeasuredProfile[]> {
  const rows = await listProfiles(db, { source, windowMs: profileMs, before: before ?? null, limit });
  return rows.map(({ startsAt, records, statistics: encoded, anomalies }) => {
    const statistics = createRecordStatistics();
    for (const bytes of encoded) statistics.merge(decodeRecordStatistics(bytes));
    const profile: Profile = {
      source,
      window,
      from: startsAt,
      until: toInstant(Date.parse(startsAt) + profileMs),
      count: records,
      fields: statistics.summary(),
      anomalies,
    };
    return { profile, statistics };
  });
}
