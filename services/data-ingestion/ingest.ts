/** The use case of the service: taking user data in, whatever way it came. @module */
import type { Outgoing } from "shared/bus/message.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";
import { type IngestDeps, readCircumstances } from "./circumstances.ts";
import type { Clock } from "./domain/event_time.ts";
import { judgeInTurns, type Judgement } from "./domain/judge.ts";
import type { Received } from "./domain/received.ts";
import { addToLedger, deleteDeadLetters, ledgerEntries } from "./repository/ledger.ts";
import { type EventRows, toEventRows } from "./repository/events.ts";
import { findHandled, type MessageKey } from "./repository/handled_messages.ts";
import { type Stored, storeJudgement } from "./store_judgement.ts";

/** What may have come by a message that was handed out before. */
export type Delivery = Received & { redelivered?: boolean };

export interface IngestOptions {
  /** Called within the transaction with what is to be published, for those who publish from an outbox. */
  enqueue?: (tx: Transaction, messages: readonly Outgoing[]) => Promise<void>;
}

/** Messages that are judged, and not stored yet. */
export interface JudgedMessages extends Split {
  judgement: Judgement;
  rows: readonly EventRows[];
  /** The clocks of the projects after these messages, by project. */
  clocks: ReadonlyMap<string, Clock>;
}

/**
 * Validates, stores under the guard and counts the records of the messages. May be repeated: a message that an earlier
 * attempt dealt with changes nothing, and what that attempt stored is published again.
 */
export async function ingest(
  deps: IngestDeps,
  messages: readonly Delivery[],
  options: IngestOptions = {},
): Promise<Stored> {
  return await storeMessages(deps, await judgeMessages(deps, messages), options);
}

/**
 * The half of {@link ingest} that writes nothing.
 *
 * @param ahead messages that come before these and are not stored yet: they move the clocks on
 */
export async function judgeMessages(
  deps: IngestDeps,
  messages: readonly Delivery[],
  ahead?: JudgedMessages,
): Promise<JudgedMessages> {
  const circumstances = await readCircumstances(deps, new Set(messages.map(({ source }) => source)));
  const parts = await split(deps, messages);
  const clocks = new Map(circumstances.clocks);
  for (const [project, { newest }] of ahead?.clocks ?? []) advance(clocks, project, newest);
  const judgement = await judgeInTurns(parts.fresh, { ...circumstances, clocks });
  for (const { project, time } of judgement.accepted) advance(clocks, project, time);
  return { ...parts, judgement, rows: toEventRows(judgement.accepted), clocks };
}

/** The other half. */
export async function storeMessages(
  deps: IngestDeps,
  { judgement, rows, handled, doubtful, fresh }: JudgedMessages,
  options: IngestOptions = {},
): Promise<Stored> {
  const stored = await storeJudgement(deps, judgement, {
    ...options,
    rows,
    handled,
    also: (tx) => takeBackDeadLetters(tx, doubtful),
  });
  deps.handledMessages?.add(fresh);
  return stored;
}

interface Split {
  /** What is in the database. */
  handled: MessageKey[];
  /** What might have been, and is not. */
  doubtful: MessageKey[];
  fresh: readonly Delivery[];
}

/** What was dealt with before is not judged a second time: its source may be another one by now. */
async function split(
  { db, handledMessages }: IngestDeps,
  messages: readonly Delivery[],
): Promise<Split> {
  const suspects = messages.flatMap((message) => {
    const { source, origin, arrivedAt, redelivered } = message;
    const isSuspect = handledMessages?.mayHold(message) ?? redelivered === true;
    return isSuspect && "sequence" in origin ? [{ source, sequence: origin.sequence, arrivedAt }] : [];
  });
  if (suspects.length === 0) return { handled: [], doubtful: [], fresh: messages };
  const sequences = await findHandled(db, suspects);
  return {
    handled: suspects.filter(({ sequence }) => sequences.has(sequence)),
    doubtful: suspects.filter(({ sequence }) => !sequences.has(sequence)),
    fresh: messages.filter(({ origin }) => !("sequence" in origin && sequences.has(origin.sequence))),
  };
}

function advance(clocks: Map<string, Clock>, project: string, time: Instant | undefined): void {
  const clock = clocks.get(project);
  if (clock !== undefined && time !== undefined && (clock.newest === undefined || time > clock.newest)) {
    clocks.set(project, { ...clock, newest: time });
  }
}

/** What was to be moved to DEADLETTER when it failed, and can be handled after all. */
async function takeBackDeadLetters(tx: Transaction, messages: readonly MessageKey[]): Promise<void> {
  if (messages.length === 0) return;
  const deleted = await deleteDeadLetters(tx, messages);
  const deadLettered = deleted.map((day) => ({ ...day, records: -day.records }));
  await addToLedger(tx, ledgerEntries({ deadLettered }));
}
