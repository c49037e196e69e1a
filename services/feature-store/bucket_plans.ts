/** The buckets of versions of views, compiled once. @module */
import type { Transaction } from "shared/db/connection.ts";
import { type BucketPlan, planBuckets } from "./domain/bucket_updates.ts";
import { readViewBody, type ViewVersionRow } from "./repository/view_versions.ts";

/** By the hash of the body. */
const plans = new Map<string, BucketPlan>();
const MAX_PLANS = 10_000;

/** A version of a view never changes: it is compiled once. */
export async function planOf(tx: Transaction, { id, bodyHash }: ViewVersionRow): Promise<BucketPlan> {
  const known = plans.get(bodyHash);
  if (known !== undefined) return known;
  const plan = planBuckets(await readViewBody(tx, id));
  if (plans.size >= MAX_PLANS) plans.clear();
  plans.set(bodyHash, plan);
  return plan;
}
