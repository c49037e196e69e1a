/** Dividing the entities of a training set among threads. @module */
import type { Transaction } from "shared/db/connection.ts";
import type { SpineRow } from "./domain/given_spine.ts";
import { readKeyRanges } from "./repository/records.ts";
import type { TrainingSetPlan } from "./training_set_plan.ts";

export interface PlacedRow extends SpineRow {
  /** Its number in the spine, from 0. */
  place: number;
}

/** Given rows of each entity, ascending by T. */
export type GivenRows = ReadonlyMap<string, readonly PlacedRow[]>;

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
}

/** With less to do than this a thread is not worth its start. */
const VALUES_A_THREAD = 100_000;

/** About equal shares, in the order of the keys; at least one. */
export async function divide(tx: Transaction, { plan, given, threads }: DivideOptions): Promise<Share[]> {
  const features = plan.features.plan.features.length;
  const worthwhile = (rows: number) =>
    Math.max(1, Math.min(threads, Math.floor(rows * features / VALUES_A_THREAD)));
  if (given !== undefined) return divideGiven(given, worthwhile);
  const query = { entity: plan.entity, source: plan.spine!.source };
  let ranges = await readKeyRanges(tx, { ...query, ranges: threads });
  const wanted = worthwhile(ranges.reduce((sum, range) => sum + range.records, 0));
  if (wanted < threads) ranges = await readKeyRanges(tx, { ...query, ranges: wanted });
  let after = "";
  const all = ranges.map(({ upTo, keys }) => {
    const share = { after, upTo, keys };
    after = upTo;
    return share;
  });
  return all.length > 0 ? all : [{ after: "", upTo: "", keys: 0 }];
}

function divideGiven(given: GivenRows, worthwhile: (rows: number) => number): Share[] {
  const rows = [...given.values()].reduce((sum, own) => sum + own.length, 0);
  const shares: Map<string, readonly PlacedRow[]>[] = Array.from(
    { length: worthwhile(rows) },
    () => new Map(),
  );
  let before = 0;
  for (const key of [...given.keys()].sort()) {
    const own = given.get(key)!;
    shares[Math.floor(before * shares.length / rows)]!.set(key, own);
    before += own.length;
  }
  return shares.map((given) => ({ given }));
}
