/** Removing the buckets that no window reaches any more. @module */
import type { Database } from "shared/db/connection.ts";
import { oldestReached } from "./domain/bucket_reach.ts";
import { type BucketPlace, removeBefore } from "./repository/buckets.ts";
import {
  raiseIntactFrom,
  readViewBody,
  readViewVersions,
  type ViewVersionRow,
} from "./repository/view_versions.ts";

const DAY_MS = 86_400_000;
/** Reads as of a T that lies no longer before the newest record are answered from buckets, as those of now are. */
const AS_OF_MS = 7 * DAY_MS;
const BUCKETS_AT_ONCE = 5_000;
const START: BucketPlace = { key: "", sizeMs: 0, startMs: 0 };

export interface RemovalDeps {
  db: Database;
  /** Now, by the clock of the project of a view, in milliseconds since 1970; undefined: there is no such view any more. */
  now(view: string): Promise<number | undefined>;
  signal?: AbortSignal;
  /** In one statement. Default 5,000. */
  bucketsAtOnce?: number;
}

/**
 * Goes once through the buckets of every version of a view. It is noted first from which T on windows stay whole, and only
 * the next time, when every copy has seen the note, those buckets are removed that none of these windows reaches. A T
 * before that is answered from the records. Buckets over the lifetime stay.
 */
export async function removeOldBuckets(deps: RemovalDeps): Promise<void> {
  const { db, now, signal } = deps;
  for (const version of await readViewVersions(db)) {
    if (version.status === "retired" || signal?.aborted) continue;
    const newestMs = await sweep(deps, version);
    const nowMs = await now(version.view);
    if (newestMs === undefined || nowMs === undefined) continue;
    await raiseIntactFrom(db, { id: version.id, fromMs: Math.min(newestMs, nowMs) - AS_OF_MS });
  }
}

/** @returns the newest event time in the buckets of the version; undefined without any, and when it was broken off */
async function sweep(
  { db, signal, bucketsAtOnce = BUCKETS_AT_ONCE }: RemovalDeps,
  version: ViewVersionRow,
): Promise<number | undefined> {
  const body = await readViewBody(db, version.id);
  const oldest = version.settledFromMs === null ? [] : oldestReached(body, version.settledFromMs);
  let newestMs = -Infinity;
  let after: BucketPlace | undefined = START;
  while (after !== undefined) {
    if (signal?.aborted) return undefined;
    const page = await removeBefore(db, { viewVersion: version.id, oldest, after, limit: bucketsAtOnce });
    newestMs = Math.max(newestMs, page.newestMs);
    after = page.last;
  }
  return newestMs === -Infinity ? undefined : newestMs;
}
