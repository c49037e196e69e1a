/**
 * Cleaning records within a transaction: what becomes of them is counted, quarantined and remembered there, and what
 * is clean is given back, to be handed on. Shared by the intake, by replays and by the release of held records.
 *
 * @module
 */
import { EVENT_TYPE, type PlatformEvent } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";
import type { VersionedCleaning } from "./cleanings.ts";
import type { Cleaned, RawRecord } from "./domain/cleaning.ts";
import { countOutcome, type Counts, dayOf } from "./domain/counts.ts";
import { type Quarantined, quarantinedOf } from "./domain/items.ts";
import { lockSource } from "./repository/intake.ts";
import {
  createMemory,
  type DatabaseMemory,
  type EntityState,
  keepStates,
  retractStates,
} from "./repository/memory.ts";
import { insertQuarantined, type QuarantinedEvent } from "./repository/quarantined.ts";

/** The message that brought records. */
export interface Arrival {
  sequence: number;
  receivedAt: Instant;
  /** Absent when the source has been removed. */
  project: string | undefined;
  clock: Instant | undefined;
}

export interface ArrivedRecord {
  event: PlatformEvent;
  arrival: Arrival;
}

/** Records of one source, of the live flow or of one replay, in the order in which they came. */
export interface Flow {
  /** Empty: the live flow. */
  run: string;
  source: string;
  cleaning: VersionedCleaning;
  records: readonly ArrivedRecord[];
}

export interface CleanedFlow {
  clean: ArrivedRecord[];
  /** What the next stage is told: the same, and in a replay what is retracted, in the order of the records. */
  handedOn: ArrivedRecord[];
  /** When one of the records blocked the source. Replays block nothing. */
  block?: {
    /** Event time of that record. */
    since: Instant;
    reason: string;
    /** What came after it, and was not looked at. */
    rest: readonly ArrivedRecord[];
  };
}

/** Cleans the records of a flow; where earlier records matter, one transaction at a time. */
export async function cleanRecords(tx: Transaction, flow: Flow, counts: Counts): Promise<CleanedFlow> {
  const { run, source, cleaning: { cleaning } } = flow;
  if (!cleaning.pure) await lockSource(tx, { run, source });
  const flowed: CleanedFlow = { clean: [], handedOn: [] };
  for (let rest = flow.records; rest.length > 0;) {
    const { cleaned, end, blocking, memory } = await cleanUntilBlocked(tx, flow, rest);
    await memory.save(tx);
    const settled = await settle(tx, flow, { records: rest, cleaned, counts });
    flowed.clean.push(...settled.clean);
    flowed.handedOn.push(...settled.handedOn);
    const since = rest[end - 1]!.event.time;
    rest = rest.slice(end);
    if (blocking !== undefined) return { ...flowed, block: { since, reason: reasonText(blocking), rest } };
  }
  return flowed;
}

interface CleanedPart {
  cleaned: readonly Cleaned[];
  /** How many of the records were cleaned. */
  end: number;
  /** The last of them, when it blocks. */
  blocking: Quarantined | undefined;
  memory: DatabaseMemory;
}

/**
 * Cleans up to the first record that blocks. It must do so without those behind it, too: one that came after it may
 * be the earlier one by event time.
 */
async function cleanUntilBlocked(
  tx: Transaction,
  { run, source, cleaning: { cleaning } }: Flow,
  records: readonly ArrivedRecord[],
): Promise<CleanedPart> {
  const raw = records.map(toRaw);
  for (let end = raw.length;;) {
    const memory = createMemory(tx, { run, source });
    const cleaned = await cleaning.clean(end === raw.length ? raw : raw.slice(0, end), { memory });
    const blocking = run === "" && cleaning.canBlock ? cleaned.find(blocks) : undefined;
    if (blocking === undefined || blocking.origin === end - 1) return { cleaned, end, blocking, memory };
    end = blocking.origin + 1;
  }
}

function toRaw({ event: { id, time, knownat, data } }: ArrivedRecord): RawRecord {
  return { event: { id, time, knownAt: knownat }, data };
}

function blocks(cleaned: Cleaned): cleaned is Quarantined {
  return cleaned.outcome === "quarantined" && cleaned.blocked;
}

function reasonText({ reasons }: Quarantined): string {
  return reasons.map(({ path, message }) => `${path} ${message}`.trim()).join("; ");
}

/** Writes what became of the records. */
async function settle(
  tx: Transaction,
  flow: Flow,
  { records, cleaned, counts }: {
    records: readonly ArrivedRecord[];
    cleaned: readonly Cleaned[];
    counts: Counts;
  },
): Promise<Pick<CleanedFlow, "clean" | "handedOn">> {
  const { run, cleaning: { version } } = flow;
  const toldOn: ArrivedRecord[] = [];
  const failed = new Map<number, Quarantined[]>();
  for (let next = 0; next < cleaned.length;) {
    const { origin } = cleaned[next]!;
    const { event, arrival } = records[origin]!;
    const parts: Cleaned[] = [];
    while (cleaned[next]?.origin === origin) parts.push(cleaned[next++]!);
    const count = counts.of(flow, dayOf(arrival.receivedAt));
    count.exploded += parts.length - 1;
    for (const part of parts) countOutcome(count, part);
    for (const told of handedOn(event, parts, { run, version })) toldOn.push({ event: told, arrival });
    const held = parts.filter((part) => part.outcome === "quarantined");
    if (held.length > 0) failed.set(origin, held);
  }
  const clean = toldOn.filter(({ event }) => event.retracted === undefined);
  await insertQuarantined(
    tx,
    [...failed].map(([origin, parts]): QuarantinedEvent => {
      const { event, arrival: { project, receivedAt } } = records[origin]!;
      const day = dayOf(receivedAt);
      return { event, run, project, day, cleaning: version, ...quarantinedOf(event.id, parts) };
    }),
  );
  await keepStates(tx, statesAmong(clean));
  await retractStates(tx, statesAmong(toldOn.filter(({ event }) => event.retracted === true)));
  return { clean, handedOn: toldOn };
}

/**
 * What the next stage is told of an event. In a replay an older cleaning may have made something of it, or this one,
 * when it remembered other records: what it makes nothing of is retracted.
 *
 * @param parts what became of it, or of its items
 */
export function handedOn(
  event: PlatformEvent,
  parts: readonly Cleaned[],
  { run, version }: { run: string; version: number },
): PlatformEvent[] {
  const told = parts.flatMap((part) => {
    if (part.outcome === "clean") return [cleanEvent(event, part, version)];
    return run === "" ? [] : [retraction(event, part.id, version)];
  });
  const isItself = run === "" || parts.some(({ id }) => id === event.id);
  return isItself ? told : [retraction(event, event.id, version), ...told];
}

function retraction(event: PlatformEvent, id: string, version: number): PlatformEvent {
  return { ...cleanEvent(event, { id, data: {} }, version), retracted: true };
}

/** What a cleaning made of an event. */
export function cleanEvent(
  event: PlatformEvent,
  { id, data }: Pick<Extract<Cleaned, { outcome: "clean" }>, "id" | "data">,
  version: number,
): PlatformEvent {
  return { ...event, id, type: EVENT_TYPE.clean, definition: version, data };
}

/** The states of entities among clean records. */
export function statesAmong(records: readonly Pick<ArrivedRecord, "event">[]): EntityState[] {
  return records.flatMap(({ event: { source, subject: entity, time, id, knownat, definition, data } }) =>
    entity === undefined ? [] : [{ source, entity, time, id, knownAt: knownat, cleaning: definition, data }]
  );
}
