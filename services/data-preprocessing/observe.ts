import type { PlatformEvent } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";
import { headersAmong } from "./clean_messages.ts";
import type { ArrivedRecord, Flow } from "./clean_records.ts";
import type { VersionedCleaning } from "./cleanings.ts";

/** Clean records of a source, of the live flow, as they are counted. */
export interface Observation {
  source: string;
  /** As their messages say; undefined when the source has been removed. */
  project: string | undefined;
  /** The latest that they came with. */
  clock: Instant | undefined;
  cleaning: VersionedCleaning;
  events: PlatformEvent[];
}

/** Looks at clean records in the transaction that counts them. */
export type Observe = (tx: Transaction, observations: readonly Observation[]) => Promise<void>;

/** What a flow tells, also when nothing of it went on: its clock is that of all records that came. */
export function observationOf(
  { source, cleaning, records }: Flow,
  clean: readonly ArrivedRecord[],
): Observation {
  return { source, ...headersAmong(records), cleaning, events: clean.map(({ event }) => event) };
}
