/** The use case of the service: taking user data in, whatever way it came. @module */
import type { Transaction } from "shared/db/connection.ts";
import type { Outgoing } from "shared/bus/message.ts";
import { type IngestDeps, readCircumstances } from "./circumstances.ts";
import type { Clock } from "./domain/event_time.ts";
import { type AcceptedEvent, judgeInTurns } from "./domain/judge.ts";
import type { Received } from "./domain/received.ts";
import { overlapped } from "./overlapped.ts";
import { addToLedger, deleteDeadLetters, ledgerEntries } from "./repository/ledger.ts";
import { findHandled, type MessageKey } from "./repository/handled_messages.ts";
import { type Stored, storeJudgement } from "./store_judgement.ts";

/** What may have come by a message that was handed out before. */
export type Delivery = Received & { redelivered?: boolean };

export interface IngestOptions {
  /** Called within the transaction with what is to be published, for those who publish from an outbox. */
  enqueue?: (tx: Transaction, messages: readonly Outgoing[]) => Promise<void>;
}

/** Of messages, what is stored in one transaction while the next is judged. */
const PORTION_BYTES = 512 * 1024;

/**
 * Validates, stores under the guard and counts the records of the messages. May be repeated: a message that an earlier
 * attempt dealt with changes nothing, and what that attempt stored is published again.
 */
export async function ingest(
  deps: IngestDeps,
  messages: readonly Delivery[],
  options: IngestOptions = {},
): Promise<Stored> {
  const circumstances = await readCircumstances(deps, new Set(messages.map(({ source }) => source)));
  const { handled, doubtful, fresh } = await split(deps, messages);
  // Clocks move on from portion to portion, before they do so in the database.
  const clocks = new Map(circumstances.clocks);
  const stored = await overlapped(
    portionsOf(fresh),
    async (portion) => {
      const judgement = await judgeInTurns(portion.messages, { ...circumstances, clocks });
      advance(clocks, judgement.accepted);
      return { portion, judgement };
    },
    async ({ portion, judgement }) => {
      const stored = await storeJudgement(deps, judgement, {
        ...options,
        handled: portion.isFirst ? handled : [],
        also: (tx) => portion.isFirst ? takeBackDeadLetters(tx, doubtful) : Promise.resolve(),
      });
      deps.handledMessages?.add(portion.messages);
      return stored;
    },
  );
  return {
    publish: stored.flatMap(({ publish }) => publish),
    accepted: stored.flatMap(({ accepted }) => accepted),
    refused: stored.flatMap(({ refused }) => refused),
    repeated: stored.flatMap(({ repeated }) => repeated),
    again: stored.flatMap(({ again }) => again),
  };
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

interface Portion {
  messages: readonly Delivery[];
  isFirst: boolean;
}

/** At least one, which may be empty. */
function* portionsOf(messages: readonly Delivery[]): Generator<Portion> {
  let first = 0;
  let bytes = 0;
  for (const [index, { data }] of messages.entries()) {
    if (bytes > 0 && bytes + data.length > PORTION_BYTES) {
      yield { messages: messages.slice(first, index), isFirst: first === 0 };
      first = index;
      bytes = 0;
    }
    bytes += data.length;
  }
  yield { messages: messages.slice(first), isFirst: first === 0 };
}

function advance(clocks: Map<string, Clock>, events: readonly AcceptedEvent[]): void {
  for (const { project, time } of events) {
    const clock = clocks.get(project);
    if (clock !== undefined && (clock.newest === undefined || time > clock.newest)) {
      clocks.set(project, { ...clock, newest: time });
    }
  }
}

/** What was to be moved to DEADLETTER when it failed, and can be handled after all. */
async function takeBackDeadLetters(tx: Transaction, messages: readonly MessageKey[]): Promise<void> {
  if (messages.length === 0) return;
  const deleted = await deleteDeadLetters(tx, messages);
  const deadLettered = deleted.map((day) => ({ ...day, records: -day.records }));
  await addToLedger(tx, ledgerEntries({ deadLettered }));
}
