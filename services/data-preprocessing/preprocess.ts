/** The use case of the service: cleaning the events of INGESTED. @module */
import { EVENT_TYPE, HEADER, type PlatformEvent } from "shared/contracts/envelope.ts";
import { subject } from "shared/contracts/streams.ts";
import type { Instant } from "shared/contracts/time.ts";
import { encodeBatches } from "shared/bus/batch.ts";
import type { Outgoing } from "shared/bus/message.ts";
import { type Database, type Transaction, transaction } from "shared/db/connection.ts";
import type { Cleaned, Cleaning } from "./domain/cleaning.ts";
import {
  addToCounts,
  type Brought,
  claimMessages,
  type CountsEntry,
  findFirstBrought,
  forgetOldMessages,
  guard,
  insertQuarantined,
  type MessageKey,
  readHandled,
} from "./repository.ts";

/** A message of INGESTED: a batch of events of one source. */
export interface Batch extends MessageKey {
  source: string;
  events: readonly PlatformEvent[];
  /** Absent when the source has been removed. */
  project: string | undefined;
  clock: Instant | undefined;
}

/** A cleaning in a version, made ready. Version null: the source has none, and its records pass through. */
export interface VersionedCleaning {
  version: number | null;
  clean: Cleaning;
}

export interface PreprocessDeps {
  db: Database;
  /** The cleaning in force. */
  cleaningOf(source: string): Promise<VersionedCleaning>;
  /** The cleaning of a version, in force or not; null: none. */
  cleaningVersion(source: string, version: number | null): Promise<VersionedCleaning>;
}

/** A clean event, with what its batch's headers said. */
interface CleanEvent {
  event: PlatformEvent;
  batch: Batch;
}

/**
 * Cleans the events of the batches, in one transaction. May be repeated: what was dealt with before changes
 * nothing, and leads to the same clean events, by the cleaning that dealt with it then.
 *
 * @returns what is to be published
 */
export async function preprocess(deps: PreprocessDeps, batches: readonly Batch[]): Promise<Outgoing[]> {
  const cleanings = new Map<string, VersionedCleaning>();
  for (const { source } of batches) {
    if (!cleanings.has(source)) cleanings.set(source, await deps.cleaningOf(source));
  }
  const { fresh, clean } = await transaction(deps.db, async (tx) => {
    const claimed = await claimMessages(
      tx,
      batches.map(({ sequence, receivedAt, source }) => ({
        sequence,
        receivedAt,
        cleaning: cleanings.get(source)!.version,
      })),
    );
    const fresh = new Set(batches.filter(({ sequence }) => claimed.has(sequence)));
    const clean = await cleanFresh(tx, [...fresh], cleanings);
    await forgetOldMessages(tx);
    return { fresh, clean };
  });
  const again = batches.filter((batch) => !fresh.has(batch));
  return toMessages([...await cleanAgain(deps, again), ...clean]);
}

async function cleanFresh(
  tx: Transaction,
  batches: readonly Batch[],
  cleanings: ReadonlyMap<string, VersionedCleaning>,
): Promise<CleanEvent[]> {
  const counts = new Counts();
  const brought: (Brought & { batch: Batch })[] = [];
  const keys = new Set<string>();
  for (const batch of batches) {
    for (const event of batch.events) {
      const key = JSON.stringify([event.source, event.id, event.definition, event.run]);
      if (keys.has(key)) counts.of(event, batch).duplicates++;
      else brought.push({ event, sequence: batch.sequence, batch });
      keys.add(key);
    }
  }
  const seenBefore = await guard(tx, brought);

  const clean: CleanEvent[] = [];
  const quarantined: Parameters<typeof insertQuarantined>[1][number][] = [];
  brought.forEach(({ event, batch }, index) => {
    const count = counts.of(event, batch);
    if (seenBefore.has(index)) {
      count.duplicates++;
      return;
    }
    const cleaning = cleanings.get(batch.source)!;
    const cleaned = cleaning.clean(event.data);
    counts.add(count, cleaned);
    if (cleaned.outcome === "clean") {
      clean.push({ event: cleanEvent(event, cleaned.data, cleaning), batch });
    } else if (cleaned.outcome === "quarantined") {
      quarantined.push({ event, cleaning: cleaning.version ?? 0, reasons: cleaned.reasons });
    }
  });
  await insertQuarantined(tx, quarantined);
  await addToCounts(tx, counts.entries);
  return clean;
}

/** What an earlier attempt made of these batches, computed again. It may have died before it published. */
async function cleanAgain(deps: PreprocessDeps, batches: readonly Batch[]): Promise<CleanEvent[]> {
  if (batches.length === 0) return [];
  const versions = await readHandled(deps.db, batches);
  const brought = batches.flatMap((batch) =>
    batch.events.map((event) => ({ event, sequence: batch.sequence, batch }))
  );
  // Others came by another message, which brings them on itself.
  const first = await findFirstBrought(deps.db, brought);
  const clean: CleanEvent[] = [];
  for (const [index, { event, batch }] of brought.entries()) {
    if (!first.has(index)) continue;
    const cleaning = await deps.cleaningVersion(batch.source, versions.get(batch.sequence) ?? null);
    const cleaned = cleaning.clean(event.data);
    if (cleaned.outcome === "clean") {
      clean.push({ event: cleanEvent(event, cleaned.data, cleaning), batch });
    }
  }
  return clean;
}

/** What made the data is the cleaning; where there is none, still the source. */
function cleanEvent(
  event: PlatformEvent,
  data: PlatformEvent["data"],
  { version }: VersionedCleaning,
): PlatformEvent {
  return { ...event, type: EVENT_TYPE.clean, definition: version ?? event.definition, data };
}

/** Counts by source and day. */
class Counts {
  readonly #entries = new Map<string, CountsEntry>();

  get entries(): CountsEntry[] {
    return [...this.#entries.values()];
  }

  of({ source }: PlatformEvent, { receivedAt }: Batch): CountsEntry {
    const day = receivedAt.slice(0, "2011-05-02".length);
    const key = `${source} ${day}`;
    const entry = this.#entries.get(key) ?? {
      source,
      day,
      clean: 0,
      filtered: 0,
      quarantined: 0,
      duplicates: 0,
      warned: 0,
      reasons: new Map(),
    };
    this.#entries.set(key, entry);
    return entry;
  }

  add(entry: CountsEntry, cleaned: Cleaned): void {
    entry[cleaned.outcome]++;
    if (cleaned.outcome === "clean" && cleaned.warnings.length > 0) entry.warned++;
    if (cleaned.outcome === "filtered") {
      entry.reasons.set(cleaned.reason, (entry.reasons.get(cleaned.reason) ?? 0) + 1);
    }
  }
}

/** Batches of each source; the clock is the latest of those that their events came with. */
function toMessages(clean: readonly CleanEvent[]): Outgoing[] {
  const bySource = Map.groupBy(clean, ({ event }) => event.source);
  return [...bySource].flatMap(([source, ofSource]) => {
    const project = ofSource.findLast(({ batch }) => batch.project !== undefined)?.batch.project;
    const clock = ofSource.map(({ batch }) => batch.clock ?? "").reduce((a, b) => a > b ? a : b);
    return encodeBatches(ofSource.map(({ event }) => event), {
      subject: subject.clean(source),
      headers: {
        ...(project === undefined ? {} : { [HEADER.project]: project }),
        ...(clock === "" ? {} : { [HEADER.clock]: clock }),
      },
    });
  });
}
