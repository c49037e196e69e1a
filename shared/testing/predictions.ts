/** The prediction log as tests read and write it. @module */
import { encodeBatches } from "../bus/batch.ts";
import type { Bus } from "../bus/connection.ts";
import type { Outgoing } from "../bus/message.ts";
import type { PlatformEvent } from "../contracts/envelope.ts";
import { type PredictionBlock, type PredictionRecord, recordsOf } from "../contracts/model_serving.ts";
import { STREAM, subject } from "../contracts/streams.ts";
import { storedEvents } from "./streams.ts";

/** The records of all messages that the stream keeps, in their order. */
export async function storedPredictions(bus: Bus): Promise<PlatformEvent<PredictionRecord>[]> {
  return (await storedEvents<PredictionBlock>(bus, STREAM.predictions)).flatMap(recordsOf);
}

/** Records of one model as model-serving would send them, each in a block of its own. */
export function predictionMessages(
  events: readonly PlatformEvent<PredictionRecord>[],
  headers: Readonly<Record<string, string>> = {},
): Outgoing[] {
  const [first] = events;
  return encodeBatches(events.map(blockOf), { subject: subject.predictions(first!.data.model), headers });
}

function blockOf(event: PlatformEvent<PredictionRecord>): PlatformEvent<PredictionBlock> {
  const { id, time, traceparent, data } = event;
  const { features, probabilities, shadowOf, outcome, code, error } = data;
  const block = pick(data, ["project", "model", "version", "arm", "assigned", "rerouted", "featuresFrom"]);
  return {
    ...event,
    time: data.servedAt,
    knownat: data.servedAt,
    data: {
      ...block,
      ...pick(data, ["featureService", "sample", "instance", "boot", "servedAt"]),
      features: Object.keys(features),
      classes: probabilities && Object.keys(probabilities),
      calls: [{
        sequence: data.sequence,
        afterMs: 0,
        latencyMs: data.latencyMs,
        at: time,
        traceparent,
        position: data.position ?? undefined,
        snapshot: data.snapshot ?? undefined,
        failure: outcome === "ok" ? undefined : { code: code ?? "internal", error: error ?? "" },
        ids: [id],
        outputs: [data.output],
        probabilities: probabilities === null ? undefined : [Object.values(probabilities)],
        rows: [Object.values(features)],
        entities: data.entity === null ? undefined : [data.entity],
        request: data.request === null ? undefined : [data.request],
        statuses: [data.statuses],
        marks: [data.marks],
        shadowOf: shadowOf === null ? undefined : [shadowOf],
      }],
    },
  };
}

function pick<Whole, Name extends keyof Whole>(whole: Whole, names: readonly Name[]): Pick<Whole, Name> {
  return Object.fromEntries(names.map((name) => [name, whole[name]])) as Pick<Whole, Name>;
}
