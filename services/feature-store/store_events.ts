/** Storing clean events as records of the entities that views describe. @module */
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";
import { together } from "shared/db/together.ts";
import type { Reason } from "shared/errors.ts";
import { type DescribedEntity, entitiesOf } from "./domain/event_records.ts";
import { advanceClocks } from "./repository/applied_clocks.ts";
import { readDescribedEntities } from "./repository/current_definitions.ts";
import {
  addCounts,
  forgetCounted,
  markCounted,
  type MessageReceipt,
  type SourceCounts,
} from "./repository/source_counts.ts";
import { lockSources } from "./repository/view_versions.ts";
import { type EntityEvent, storeRecords } from "./store_records.ts";

/** The events of a message. */
export interface EventBatch extends MessageReceipt {
  events: readonly PlatformEvent[];
  /** The clock of the project after the batch, where the message tells it. */
  clock?: { project: string; now: Instant } | undefined;
}

/** An event that holds something which can't be taken. */
export interface RefusedEvent {
  event: PlatformEvent;
  reasons: readonly Reason[];
  /** Position of its message in the stream, and its own in the message. */
  sequence: number;
  position: number;
}

/**
 * Stores each event as a record of every entity that a view over its source describes, and counts what came of it. An
 * event of none is kept all the same: a view to come may describe what it is of.
 * A message that comes again changes nothing; an event that comes again in another message is a duplicate. What is
 * retracted is no record any more, and is not one when it comes late; it counts nothing.
 *
 * @returns the events to be set aside, those of messages that came again included: the first time may have ended
 * before they were
 */
export async function storeEvents(tx: Transaction, batches: readonly EventBatch[]): Promise<RefusedEvent[]> {
  // Sent at once, and run one after the other. What is described comes from the table and not from memory: a view that
  // was acknowledged must not miss an event after it.
  const [, described, fresh] = await together(
    lockSources(tx, batches.flatMap(({ events }) => events.map(({ source }) => source))),
    readDescribedEntities(tx),
    markCounted(tx, batches),
  );
  const sorted = new SortedEvents(described);
  for (const { sequence, events } of batches) {
    for (const [position, event] of events.entries()) {
      if (event.retracted) sorted.retract(event);
      else sorted.add(event, { sequence, position, counts: fresh.has(sequence) });
    }
  }
  const stored = await storeRecords(tx, sorted.storable);
  await together(
    addCounts(tx, sorted.countsWith(stored)),
    advanceClocks(tx, newestClocks(batches)),
    forgetCounted(tx, 2 * batches.length),
  );
  return sorted.refused;
}

function newestClocks(batches: readonly EventBatch[]): Map<string, Instant> {
  const clocks = new Map<string, Instant>();
  for (const { clock } of batches) {
    if (clock === undefined) continue;
    const { project, now } = clock;
    // Instants sort as text.
    if (now > (clocks.get(project) ?? "")) clocks.set(project, now);
  }
  return clocks;
}

/** Events by what is to become of them. */
class SortedEvents {
  readonly storable: EntityEvent[] = [];
  readonly refused: RefusedEvent[] = [];
  readonly #described: ReadonlyMap<string, readonly DescribedEntity[]>;
  /** `expected`: events that are records, unless they were stored before. */
  readonly #counts = new Map<
    string,
    { received: number; unused: number; refused: number; expected: number }
  >();

  constructor(described: ReadonlyMap<string, readonly DescribedEntity[]>) {
    this.#described = described;
  }

  /** @param options.counts false for a message that was counted before */
  add(event: PlatformEvent, options: { sequence: number; position: number; counts: boolean }): void {
    const { counts, ...place } = options;
    const entities = this.#described.get(event.source);
    const { records, reasons } = entitiesOf(event.data, entities ?? []);
    const unstorable = isUnstorable(JSON.stringify(event));
    if (unstorable) reasons.push(UNSTORABLE);
    if (reasons.length > 0) this.refused.push({ event, reasons, ...place });
    if (!counts) return;

    const counted = this.#countsOf(event.source);
    counted.received++;
    if (!unstorable) this.storable.push(toEntityEvent(event, records));
    if (entities === undefined) counted.unused++;
    else if (records.length === 0 || unstorable) counted.refused++;
    else counted.expected++;
  }

  retract(event: PlatformEvent): void {
    this.storable.push({ ...toEntityEvent(event, []), retracted: true });
  }

  /** @param stored how many events of each source had a record that was not there */
  countsWith(stored: ReadonlyMap<string, number>): SourceCounts[] {
    return [...this.#counts].map(([source, { expected, ...counted }]) => {
      const records = stored.get(source) ?? 0;
      return { source, ...counted, records, duplicates: expected - records };
    });
  }

  #countsOf(source: string) {
    const counts = this.#counts.get(source) ?? { received: 0, unused: 0, refused: 0, expected: 0 };
    this.#counts.set(source, counts);
    return counts;
  }
}

function toEntityEvent(event: PlatformEvent, places: EntityEvent["places"]): EntityEvent {
  const { source, id, definition, time, knownat: knownAt, data } = event;
  return { source, id, definition, time, knownAt, data, places };
}

const UNSTORABLE: Reason = {
  path: "",
  message: "holds a NUL character or half of a surrogate pair, which the database cannot keep",
};

/** Whether JSON text holds an escape that `jsonb` refuses. */
function isUnstorable(json: string): boolean {
  return json.includes("\\u") && /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/.test(json);
}
