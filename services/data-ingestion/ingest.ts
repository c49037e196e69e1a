/** The use case of the service: taking user data in, whatever way it came. @module */
import type { ClockKind } from "shared/contracts/data_ingestion.ts";
import { EVENT_TYPE, HEADER, type PlatformEvent } from "shared/contracts/envelope.ts";
import { subject } from "shared/contracts/streams.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import { encodeBatches } from "shared/bus/batch.ts";
import type { Outgoing } from "shared/bus/message.ts";
import { type Database, type Transaction, transaction } from "shared/db/connection.ts";
import type { DailyPartitions } from "shared/db/partitions.ts";
import {
  type AcceptedEvent,
  judge,
  type Judgement,
  type RefusedRecord,
  type RepeatedEvent,
} from "./domain/judge.ts";
import type { Clock } from "./domain/event_time.ts";
import type { Received } from "./domain/received.ts";
import type { Source } from "./domain/source.ts";
import { advanceClocks, readClocks } from "./repository/clocks.ts";
import {
  type Conflict,
  findHandled,
  insertEvents,
  type MessageKey,
  readStored,
  type StoredEvent,
} from "./repository/events.ts";
import { addToLedger, insertRefused, insertRepeated, type LedgerEntry } from "./repository/ledger.ts";

export interface IngestDeps {
  db: Database;
  partitions: Pick<DailyPartitions, "ensure">;
  /** The sources of these names, as far as they are defined. */
  sources(names: ReadonlySet<string>): Promise<ReadonlyMap<string, Source>>;
  clockKind(project: string): Promise<ClockKind>;
  /** Told of clocks that moved, after the commit. */
  onClocks(projects: readonly string[]): void;
  maxRecordBytes: number;
  /** Milliseconds since 1970. Default: the wall clock. */
  now?: () => number;
}

/** What may have come by a message that was handed out before. */
export type Delivery = Received & { redelivered?: boolean };

export interface IngestOptions {
  /** Called within the transaction with what is to be published, for those who publish from an outbox. */
  enqueue?: (tx: Transaction, messages: readonly Outgoing[]) => Promise<void>;
}

export interface Ingested {
  /** For INGESTED. */
  publish: Outgoing[];
  accepted: readonly AcceptedEvent[];
  refused: readonly RefusedRecord[];
  repeated: readonly RepeatedEvent[];
}

/**
 * Validates, stores under the guard and counts the records of the messages, in one transaction. May be repeated:
 * a message that an earlier attempt dealt with changes nothing, and what that attempt stored is published again.
 */
export async function ingest(
  deps: IngestDeps,
  messages: readonly Delivery[],
  options: IngestOptions = {},
): Promise<Ingested> {
  const { db, now = Date.now } = deps;
  const sources = await deps.sources(new Set(messages.map(({ source }) => source)));
  const { clocks, eventProjects } = await readCircumstances(deps, sources);
  const { handled, fresh } = await split(db, messages);
  const judgement = judge(fresh, { sources, clocks, nowMs: now(), maxRecordBytes: deps.maxRecordBytes });
  await deps.partitions.ensure(new Set(judgement.accepted.map(({ arrivedAt }) => dayOf(arrivedAt))));

  const { publish, accepted, repeated } = await transaction(db, async (tx) => {
    const written = await write(tx, judgement);
    const moved = newestByProject(written.accepted, eventProjects);
    await advanceClocks(tx, moved);
    const clockAfter = await readClocks(tx, eventProjects);
    const before = await readStored(tx, [...handled, ...written.again]);
    const publish = toMessages([...before, ...written.accepted], {
      sources,
      clockOf: (project) => eventProjects.includes(project) ? clockAfter.get(project) : toInstant(now()),
    });
    await options.enqueue?.(tx, publish);
    return { ...written, publish };
  });
  const moved = newestByProject(accepted, eventProjects);
  if (moved.size > 0) deps.onClocks([...moved.keys()]);
  return { publish, accepted, refused: judgement.refused, repeated };
}

const dayOf = (time: Instant) => time.slice(0, "2011-05-02".length);

async function readCircumstances(
  { db, clockKind }: IngestDeps,
  sources: ReadonlyMap<string, Source>,
): Promise<{ clocks: Map<string, Clock>; eventProjects: string[] }> {
  const projects = [...new Set([...sources.values()].map(({ project }) => project))];
  const kinds = await Promise.all(projects.map(clockKind));
  const eventProjects = projects.filter((_, index) => kinds[index] === "event");
  const newest = await readClocks(db, eventProjects);
  const clocks = projects.map((project, index): [string, Clock] => [
    project,
    { kind: kinds[index]!, newest: newest.get(project) },
  ]);
  return { clocks: new Map(clocks), eventProjects };
}

/** Messages that were handed out before may have been dealt with before: they are not judged a second time. */
async function split(
  db: Database,
  messages: readonly Delivery[],
): Promise<{ handled: MessageKey[]; fresh: readonly Delivery[] }> {
  const suspects = messages.flatMap((message) => {
    const key = keyOf(message);
    return message.redelivered === true && key !== undefined ? [key] : [];
  });
  if (suspects.length === 0) return { handled: [], fresh: messages };
  const sequences = await findHandled(db, suspects);
  return {
    handled: suspects.filter(({ sequence }) => sequences.has(sequence)),
    fresh: messages.filter(({ origin }) => !("sequence" in origin && sequences.has(origin.sequence))),
  };
}

function keyOf({ origin, arrivedAt }: Pick<Received, "origin" | "arrivedAt">): MessageKey | undefined {
  return "sequence" in origin ? { sequence: origin.sequence, arrivedAt } : undefined;
}

interface Written {
  accepted: AcceptedEvent[];
  repeated: RepeatedEvent[];
  /** Messages whose events are there already, from an attempt that the stream did not tell of. */
  again: MessageKey[];
}

async function write(tx: Transaction, judgement: Judgement): Promise<Written> {
  const conflicts = await insertEvents(tx, judgement.accepted);
  const again = conflicts.filter(isSameRecord).map(({ event }) => keyOf(event)!);
  const repeated = [
    ...judgement.repeated,
    ...conflicts.filter((conflict) => !isSameRecord(conflict)).map(({ event }) => event),
  ];
  const taken = new Set(conflicts.map(({ event }) => event));
  const accepted = judgement.accepted.filter((event) => !taken.has(event));
  await addToLedger(
    tx,
    ledgerEntries({
      stored: accepted.map(({ source, arrivedAt }) => ({ source, day: dayOf(arrivedAt) })),
      rejected: await insertRefused(tx, judgement.refused),
      duplicates: await insertRepeated(tx, repeated),
    }),
  );
  const messages = new Map(again.map((key) => [key.sequence, key]));
  return { accepted, repeated, again: [...messages.values()] };
}

/** Whether the id is taken by the very same record, not by another one of the same id. */
function isSameRecord({ event, holder }: Conflict): boolean {
  return "sequence" in event.origin && event.origin.sequence === holder.sequence &&
    event.position === holder.position && event.arrivedAt === holder.arrivedAt;
}

function ledgerEntries(
  counted: Record<"stored" | "rejected" | "duplicates", readonly { source: string; day: string }[]>,
): LedgerEntry[] {
  const entries = new Map<string, LedgerEntry>();
  for (const column of ["stored", "rejected", "duplicates"] as const) {
    for (const { source, day } of counted[column]) {
      const key = `${source} ${day}`;
      const entry = entries.get(key) ?? { source, day, stored: 0, rejected: 0, duplicates: 0 };
      entry[column]++;
      entries.set(key, entry);
    }
  }
  return [...entries.values()];
}

function newestByProject(
  events: readonly AcceptedEvent[],
  eventProjects: readonly string[],
): Map<string, Instant> {
  const newest = new Map<string, Instant>();
  for (const { project, time } of events) {
    if (eventProjects.includes(project) && time > (newest.get(project) ?? "")) newest.set(project, time);
  }
  return newest;
}

/** Batches of each source, with the project and its clock in the headers. */
function toMessages(
  events: readonly (StoredEvent | AcceptedEvent)[],
  { sources, clockOf }: {
    sources: ReadonlyMap<string, Source>;
    clockOf: (project: string) => Instant | undefined;
  },
): Outgoing[] {
  const bySource = Map.groupBy(events, ({ source }) => source);
  return [...bySource].flatMap(([name, ofSource]) => {
    // A source that was removed since its events were stored has no project any more.
    const project = sources.get(name)?.project;
    const clock = project === undefined ? undefined : clockOf(project);
    return encodeBatches(ofSource.map(toPlatformEvent), {
      subject: subject.ingested(name),
      headers: {
        ...(project === undefined ? {} : { [HEADER.project]: project }),
        ...(clock === undefined ? {} : { [HEADER.clock]: clock }),
      },
    });
  });
}

function toPlatformEvent(event: StoredEvent | AcceptedEvent): PlatformEvent {
  const { id, source, time, knownAt, definition, data } = event;
  const { actor, traceparent } = "envelope" in event ? event.envelope : {};
  return {
    specversion: "1.0",
    id,
    source,
    type: EVENT_TYPE.ingested,
    time,
    knownat: knownAt,
    definition,
    ...(actor === undefined ? {} : { actor }),
    ...(traceparent === undefined ? {} : { traceparent }),
    data,
  };
}
