/** A sample of the prediction log, straight from its stream: nothing is taken from those who consume it. @module */
import type { StoredMsg } from "@nats-io/jetstream";
import type { Bus } from "shared/bus/connection.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import { predictionBlockSchema, type PredictionRecord, recordsOf } from "shared/contracts/model_serving.ts";
import { STREAM, subject } from "shared/contracts/streams.ts";

export interface SampleOptions {
  model?: string | undefined;
  /** Messages, spread evenly over what the stream keeps since then. */
  messages: number;
  /** Predictions of each message, from its beginning. */
  predictions: number;
  since?: string | undefined;
}

export type LoggedPrediction = PlatformEvent<PredictionRecord>;

/** What is no prediction is passed over: it is the consumers' to set aside. */
export async function samplePredictions(bus: Bus, options: SampleOptions): Promise<LoggedPrediction[]> {
  const { model, messages, predictions, since = "" } = options;
  const stream = STREAM.predictions.name;
  const next_by_subj = model === undefined ? subject.predictions("*") : subject.predictions(model);
  const next = (seq: number) => {
    const query = { seq, next_by_subj };
    return bus.jsm.streams.getMessage(stream, query);
  };
  const { state } = await bus.jsm.streams.info(stream);
  if (state.messages === 0) return [];
  const first = await firstSince(next, since, { from: state.first_seq, to: state.last_seq + 1 });
  const span = state.last_seq - first + 1;
  const sampled: LoggedPrediction[] = [];
  let last = first - 1;
  for (let index = 0; index < messages; index++) {
    const message = await next(Math.max(last + 1, first + Math.floor((index * span) / messages)));
    if (message === null) break;
    last = message.seq;
    const events = parseBatch(message.string()).filter(({ data }) => data.servedAt >= since);
    sampled.push(...events.slice(0, predictions));
  }
  return sampled;
}

/** A sequence from which on nothing is older, by halving: the stream is ordered by time. */
async function firstSince(
  next: (sequence: number) => Promise<StoredMsg | null>,
  since: string,
  range: { from: number; to: number },
): Promise<number> {
  let { from, to } = range;
  while (since !== "" && from < to) {
    const middle = Math.floor((from + to) / 2);
    const message = await next(middle);
    if (message === null || message.time.getTime() >= Date.parse(since)) to = middle;
    else from = message.seq + 1;
  }
  return from;
}

function parseBatch(text: string): LoggedPrediction[] {
  let events: unknown;
  try {
    events = JSON.parse(text);
  } catch {
    return [];
  }
  return (Array.isArray(events) ? events as PlatformEvent[] : []).flatMap((event) => {
    const { success, data } = predictionBlockSchema.safeParse(event?.data);
    return success ? recordsOf({ ...event, data }) : [];
  });
}
