/** The use case of storing what was judged: events under their guard, rejects, duplicates, and the ledger's counts. @module */
import { type Instant, toInstant } from "shared/contracts/time.ts";
import type { Outgoing } from "shared/bus/message.ts";
import { type Transaction, transaction } from "shared/db/connection.ts";
import type { IngestDeps } from "./circumstances.ts";
import type { AcceptedEvent, Judgement, RefusedRecord, RepeatedEvent } from "./domain/judge.ts";
import { horizonMs } from "./domain/keeping.ts";
import type { Source } from "./domain/source.ts";
import { ingestedMessages, type ProjectTime } from "./ingested_messages.ts";
import { advanceClocks, readClocks } from "./repository/clocks.ts";
import { insertStates } from "./repository/entities.ts";
import {
  type Conflict,
  type EventRows,
  insertNewEvents,
  insertUnknownEvents,
  isTakenKey,
  readStored,
  toEventRows,
} from "./repository/events.ts";
import type { MessageKey } from "./repository/handled_messages.ts";
import {
  addToLedger,
  countByDay,
  type DayCounts,
  insertRepeated,
  ledgerEntries,
} from "./repository/ledger.ts";
import { insertRefused } from "./repository/rejected.ts";

/** What came of records. */
export interface Outcome {
  /** Stored now. */
  accepted: readonly AcceptedEvent[];
  refused: readonly RefusedRecord[];
  repeated: readonly RepeatedEvent[];
  /** Stored before, by an earlier attempt at the same message or request. */
  again: readonly AcceptedEvent[];
}

export interface Stored extends Outcome {
  /** Puts together what is for INGESTED. */
  publish(): Outgoing[];
}

export interface StoreOptions {
  /**
   * Opens the transaction, for those who do more in it, and calls `write` in there; everything else that is waited for
   * has been by then. Default: one with nothing else in it.
   */
  transact?: (write: (tx: Transaction) => Promise<Stored>) => Promise<Stored>;
  /** The accepted events, made ready to be inserted. Default: that is done when they are. */
  rows?: readonly EventRows[];
  /** Messages that an earlier attempt has dealt with: what it stored is published once more. */
  handled?: readonly MessageKey[];
  /** More work in the same transaction. */
  also?: (tx: Transaction) => Promise<void>;
  /** Called within the transaction with what is to be published, for those who publish from an outbox. */
  enqueue?: (tx: Transaction, messages: readonly Outgoing[]) => Promise<void>;
}

/**
 * Stores what was judged in one transaction, counts it, and says what to publish. May be repeated: what an earlier
 * attempt has stored and counted changes nothing, and is published again.
 */
export async function storeJudgement(
  deps: IngestDeps,
  judgement: Judgement,
  options: StoreOptions = {},
): Promise<Stored> {
  const { accepted } = judgement;
  const { handled = [], transact } = options;
  const world = await worldOf(deps, new Set([...accepted, ...handled].map(({ source }) => source)));
  await deps.partitions.ensure(new Set(accepted.map(({ arrivedAt }) => dayOf(arrivedAt))));
  const writeIn = (tx: Transaction, keys: Keys) => write(tx, judgement, { ...options, world, keys });
  const stored = transact === undefined
    ? await storeAlone(deps, judgement, writeIn)
    : await transact((tx) => writeIn(tx, "unknown"));

  const moved = newestByProject(stored.accepted, world.eventProjects);
  if (moved.size > 0) deps.onClocks([...moved.keys()]);
  return stored;
}

const dayOf = (time: Instant) => time.slice(0, "2011-05-02".length);

/** Whether the keys of events are taken: PostgreSQL works less where that need not be asked. */
type Keys = "new" | "unknown";

async function storeAlone(
  { db, outlook }: IngestDeps,
  judgement: Judgement,
  writeIn: (tx: Transaction, keys: Keys) => Promise<Stored>,
): Promise<Stored> {
  if (outlook?.looksNew) {
    try {
      return await transaction(db, (tx) => writeIn(tx, "new"));
    } catch (error) {
      if (!isTakenKey(error)) throw error;
      outlook.note(true);
    }
  }
  const stored = await transaction(db, (tx) => writeIn(tx, "unknown"));
  outlook?.note(stored.again.length > 0 || stored.repeated.length > judgement.repeated.length);
  return stored;
}

/** What is known of the sources of the events at hand. */
interface World {
  sources: ReadonlyMap<string, Source>;
  /** Projects that live by their events. */
  eventProjects: readonly string[];
  /** For how long the key of an event stays taken, by source. */
  horizonMs(source: string): number;
  now: Instant;
}

async function worldOf(deps: IngestDeps, names: ReadonlySet<string>): Promise<World> {
  const { clockKind, keepDays, now = Date.now } = deps;
  const sources = await deps.sources(names);
  const projects = [...new Set([...sources.values()].map(({ project }) => project))];
  const kinds = await Promise.all(projects.map(clockKind));
  return {
    sources,
    eventProjects: projects.filter((_, index) => kinds[index] === "event"),
    horizonMs: (source) => horizonMs(sources.get(source)?.body ?? {}, keepDays),
    now: toInstant(now()),
  };
}

async function write(
  tx: Transaction,
  judgement: Judgement,
  { world, keys, rows, handled = [], also, enqueue }: StoreOptions & { world: World; keys: Keys },
): Promise<Stored> {
  const conflicts = await insertEvents(tx, judgement.accepted, { keys, rows, world });
  const outcome = outcomeOf(judgement, conflicts);
  const { accepted, refused, repeated, again } = outcome;
  await insertStates(tx, accepted);
  const rejected = await insertRefused(tx, refused);
  const duplicates = await insertRepeated(tx, repeated);
  const stored = countByDay(accepted);
  const received = newlyReceived(judgement, [...stored, ...rejected, ...duplicates]);
  await addToLedger(tx, ledgerEntries({ received, stored, rejected, duplicates }));
  await also?.(tx);

  await advanceClocks(tx, newestByProject(accepted, world.eventProjects));
  const clocks = await readClocks(tx, world.eventProjects);
  const timeOf = (source: string): ProjectTime | undefined => {
    const project = world.sources.get(source)?.project;
    if (project === undefined) return undefined;
    return { project, clock: world.eventProjects.includes(project) ? clocks.get(project) : world.now };
  };
  const before = await readStored(tx, [...handled, ...messagesOf(again)]);
  const publish = () => ingestedMessages([...before, ...accepted], { timeOf });
  await enqueue?.(tx, publish());
  return { ...outcome, publish };
}

/** Of the records received, those that are counted now: what an earlier attempt has counted is no second receipt. */
function newlyReceived({ received, accepted, refused, repeated }: Judgement, counted: DayCounts): DayCounts {
  const judged = countByDay([...accepted, ...refused, ...repeated]);
  return [...received, ...counted, ...judged.map((day) => ({ ...day, records: -day.records }))];
}

async function insertEvents(
  tx: Transaction,
  events: readonly AcceptedEvent[],
  { keys, rows, world }: { keys: Keys; rows: readonly EventRows[] | undefined; world: World },
): Promise<Conflict[]> {
  if (keys === "unknown") return await insertUnknownEvents(tx, events, world);
  await insertNewEvents(tx, rows ?? toEventRows(events));
  return [];
}

function outcomeOf(judgement: Judgement, conflicts: readonly Conflict[]): Outcome {
  const again = conflicts.filter(isSameRecord).map(({ event }) => event);
  const others = conflicts.filter((conflict) => !isSameRecord(conflict)).map(({ event }) => event);
  const taken = new Set(conflicts.map(({ event }) => event));
  return {
    accepted: taken.size === 0 ? judgement.accepted : judgement.accepted.filter((event) => !taken.has(event)),
    refused: judgement.refused,
    repeated: [...judgement.repeated, ...others],
    again,
  };
}

/** Whether the id is taken by the very same record, not by another one of the same id. */
function isSameRecord({ event: { origin, position, arrivedAt }, holder }: Conflict): boolean {
  if (position !== holder.position) return false;
  // A request that is sent once more arrives later, and is the same all the same.
  if ("request" in origin) return origin.request === holder.request;
  return origin.sequence === holder.sequence && arrivedAt === holder.arrivedAt;
}

/** The messages of EVENTS that these events came with. */
function messagesOf(events: readonly AcceptedEvent[]): MessageKey[] {
  const keys = events.flatMap(({ source, origin, arrivedAt }) =>
    "sequence" in origin ? [[origin.sequence, { source, sequence: origin.sequence, arrivedAt }] as const] : []
  );
  return [...new Map(keys).values()];
}

function newestByProject(
  events: readonly AcceptedEvent[],
  eventProjects: readonly string[],
): Map<string, Instant> {
  const newest = new Map<string, Instant>();
  if (eventProjects.length === 0) return newest;
  for (const { project, time } of events) {
    if (eventProjects.includes(project) && time > (newest.get(project) ?? "")) newest.set(project, time);
  }
  return newest;
}
