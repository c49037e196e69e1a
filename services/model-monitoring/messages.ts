/** Predictions and registered models from the bus -> the log and its windows. @module */
import type { Incoming, Outcome } from "shared/bus/consumer.ts";
import { readEvents } from "shared/bus/read_events.ts";
import { LOG_HEADER, predictionBlockSchema, recordsOf } from "shared/contracts/model_serving.ts";
import { modelRegisteredSchema } from "shared/contracts/model_training.ts";
import { type Database, type Transaction, transaction } from "shared/db/connection.ts";
import type { LogMark, PredictionEvent } from "./domain.ts";

/** What messages of the prediction log say: their records, and how far its sender had counted. */
export interface LoggedPredictions {
  events: readonly PredictionEvent[];
  marks: readonly LogMark[];
}

export interface PredictionHandlerDeps {
  db: Database;
  /** Makes room for the days on which the predictions were served. */
  ensurePartitions: (days: ReadonlySet<string>) => Promise<void>;
  record: (tx: Transaction, logged: LoggedPredictions) => Promise<void>;
  /** Called after the commit, with how many predictions it kept or had before. */
  recorded: (events: number) => void;
}

export function createPredictionHandler({ db, ensurePartitions, record, recorded }: PredictionHandlerDeps) {
  return async (messages: readonly Incoming[]): Promise<Outcome> => {
    const { events: blocks, aside } = readEvents(messages, predictionBlockSchema);
    const events = blocks.flatMap(recordsOf);
    await ensurePartitions(new Set(events.map(({ data }) => data.servedAt.slice(0, 10))));
    const marks = messages.flatMap(markOf);
    await transaction(db, (tx) => record(tx, { events, marks }));
    recorded(events.length);
    return { aside };
  };
}

/** Messages of others than model-serving say nothing of the kind. */
function markOf({ name, headers, receivedAt }: Incoming): LoggedPredictions["marks"] {
  const instance = headers[LOG_HEADER.instance];
  const boot = headers[LOG_HEADER.boot];
  const head = Number(headers[LOG_HEADER.head]);
  if (!instance || !boot || !Number.isSafeInteger(head)) return [];
  const closed = headers[LOG_HEADER.closed] === "true";
  return [{ instance, boot, model: name, head, closed, at: receivedAt }];
}

export interface ModelHandlerDeps {
  db: Database;
  record: (tx: Transaction, registered: ReturnType<typeof modelRegisteredSchema.parse>) => Promise<void>;
  /** Called after the commit. */
  recorded: () => void;
}

/** `models.registered.<model>` brings a reference; aliases and retirements don't concern monitoring. */
export function createModelHandler({ db, record, recorded }: ModelHandlerDeps) {
  return async (messages: readonly Incoming[]): Promise<Outcome> => {
    const registrations = messages.filter(({ subject }) => subject.startsWith("models.registered."));
    const { events, aside } = readEvents(registrations, modelRegisteredSchema);
    await transaction(db, async (tx) => {
      for (const { data } of events) await record(tx, data);
    });
    recorded();
    return { aside };
  };
}
