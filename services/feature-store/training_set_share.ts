/** Dividing the entities of a training set among threads. @module */
import type { Transaction } from "shared/db/connection.ts";
import { countRows, divideRows, type GivenRows } from "./domain/given_rows.ts";
import { readKeyRanges } from "./repository/records.ts";
import type { TrainingSetPlan } from "./training_set_plan.ts";

/** The entities of which one thread makes the rows. */
export type Share =
  | { given: GivenRows }
  /** With keys in (after, upTo]: so many, as the source of the rows has records of them. */
  | { after: string; upTo: string; keys: number };

export interface DivideOptions {
  plan: TrainingSetPlan;
  given: GivenRows | undefined;
  /** At most so many shares. */
  threads: number;
  /** Rows times features of each share, at least. */
  valuesOfThread: number;
}

/** About equal shares, in the order of the keys; at least one. */
export async function divide(
  tx: Transaction,
  { plan, given, threads, valuesOfThread }: DivideOptions,
): Promise<Share[]> {
  const features = plan.features.plan.features.length;
  const leastRows = valuesOfThread / features;
  if (given !== undefined) {
    const shares = Math.max(1, Math.min(threads, Math.floor(countRows(given) / leastRows)));
    return divideRows(given, shares).map((given) => ({ given }));
  }
  const ranges = await readKeyRanges(tx, {
    entity: plan.entity,
    source: plan.spine!.source,
    most: threads,
    least: leastRows,
  });
  let after = "";
  const all = ranges.map(({ upTo, keys }) => {
    const share = { after, upTo, keys };
    after = upTo;
    return share;
  });
  return all.length > 0 ? all : [{ after: "", upTo: "", keys: 0 }];
}
