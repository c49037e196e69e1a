/** A sample of the prediction log, straight from its stream: nothing is taken from those who consume it. @module */
import type { Bus } from "shared/bus/connection.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import { type PredictionRecord, predictionRecordSchema } from "shared/contracts/model_serving.ts";
import { STREAM, subject } from "shared/contracts/streams.ts";

export interface SampleOptions {
  model?: string | undefined;
  /** Messages, spread evenly over what the stream keeps. */
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
  const { state } = await bus.jsm.streams.info(stream);
  const sampled: LoggedPrediction[] = [];
  const count = Math.min(messages, state.messages);
  const span = state.last_seq - state.first_seq + 1;
  let last = 0;
  for (let index = 0; index < count; index++) {
    const sequence = state.first_seq + Math.floor((index * span) / count);
    if (sequence <= last) continue;
    // With a subject: the first message of the model from there on. Without: that very one, unless it is gone.
    const query = model === undefined
      ? { seq: sequence }
      : { seq: sequence, next_by_subj: subject.predictions(model) };
    const message = await bus.jsm.streams.getMessage(stream, query);
    if (message === null) continue;
    last = message.seq;
    const events = parseBatch(message.string()).filter(({ data }) => data.servedAt >= since);
    sampled.push(...events.slice(0, predictions));
  }
  return sampled;
}

function parseBatch(text: string): LoggedPrediction[] {
  let events: unknown;
  try {
    events = JSON.parse(text);
  } catch {
    return [];
  }
  return (Array.isArray(events) ? events as LoggedPrediction[] : []).flatMap((event) => {
    const data = predictionRecordSchema.safeParse(event?.data);
    return data.success ? [{ ...event, data: data.data }] : [];
  });
}
