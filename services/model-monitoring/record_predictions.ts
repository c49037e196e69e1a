/** Keeps served predictions, counts them into the windows of the monitors, and signals what changed. @module */
import { encodeBatches } from "shared/bus/batch.ts";
import type { StoredDefinition } from "shared/contracts/definition.ts";
import { EVENT_TYPE } from "shared/contracts/envelope.ts";
import type { MonitorBody } from "shared/contracts/model_monitoring.ts";
import type { Signal } from "shared/contracts/signal.ts";
import type { ModelRegistered } from "shared/contracts/model_training.ts";
import type { ReferenceBins } from "shared/contracts/signature.ts";
import { subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";
import { enqueue } from "shared/db/outbox.ts";
import {
  type CountedPrediction,
  countIntoBins,
  type Judgement,
  judgeWindow,
  type LogMark,
  type PredictionEvent,
  windowOf,
} from "./domain.ts";
import * as repository from "./repository.ts";

export type Monitor = StoredDefinition<MonitorBody>;

/** Keeps predictions; what was kept before changes nothing. */
export async function recordPredictions(
  tx: Transaction,
  { events, marks }: { events: readonly PredictionEvent[]; marks: readonly LogMark[] },
  monitors: readonly Monitor[],
): Promise<void> {
  for (const { model, version } of versionsOf(events)) await repository.lockVersion(tx, model, version);
  const fresh = await repository.insertPredictions(tx, events);
  await repository.countSequences(tx, fresh, marks);
  for (const { model, version, events: group } of versionsOf(fresh)) {
    const references = await repository.findReference(tx, model, version);
    // Without its reference yet: recordReference counts all that was kept when it comes.
    if (!references) continue;
    const counted = group.filter(({ data }) => data.outcome === "ok" && data.shadowOf === null)
      .map(({ time, data: { output, probabilities, features } }) => ({
        at: time,
        output,
        probabilities,
        features,
      }));
    await countAndJudge(tx, { model, version, references }, counted, monitors);
  }
}

/** The events by the version that answered, in an order that two transactions share. */
function versionsOf(events: readonly PredictionEvent[]) {
  const groups = Map.groupBy(events, ({ data }) => `${data.model}/${data.version}`);
  return [...groups].sort(([a], [b]) => a < b ? -1 : 1).flatMap(([, events]) => {
    const { model, version } = events[0]!.data;
    // Calls that reached none.
    return version === null ? [] : [{ model, version, events }];
  });
}

/** Keeps the reference bins of a new version, and counts what was served before they came. */
export async function recordReference(
  tx: Transaction,
  registered: ModelRegistered,
  monitors: readonly Monitor[],
): Promise<void> {
  const { model, version, referenceBins: references } = registered;
  await repository.lockVersion(tx, model, version);
  if (!await repository.saveReference(tx, registered)) return;
  const earlier = await repository.listCounted(tx, model, version);
  await countAndJudge(tx, { model, version, references }, earlier, monitors);
}

async function countAndJudge(
  tx: Transaction,
  served: { model: string; version: number; references: readonly ReferenceBins[] },
  predictions: readonly CountedPrediction[],
  monitors: readonly Monitor[],
): Promise<void> {
  const { model, version, references } = served;
  for (const monitor of monitors.filter(({ body }) => body.model === model)) {
    const windows = Map.groupBy(predictions, ({ at }) => windowOf(monitor.body, at).startsAt);
    for (const rows of windows.values()) {
      const key = { monitor: monitor.name, model, version, ...windowOf(monitor.body, rows[0]!.at) };
      const counts = countIntoBins(references, rows);
      const window = await repository.addToWindow(tx, key, { rows: rows.length, counts });
      const judged = judgeWindow(monitor.body, references, window);
      const changed = judged.status !== window.status;
      const revision = window.revision + Number(changed);
      await repository.saveJudgement(tx, key, { ...judged, revision });
      if (changed) await enqueue(tx, [toSignal(monitor, key, judged, { rows: window.rows, revision })]);
    }
  }
}

/** Each change of a window's status is one signal. */
function toSignal(
  monitor: Monitor,
  key: repository.WindowKey,
  judged: Judgement,
  window: { rows: number; revision: number },
) {
  const { model, version, startsAt, endsAt } = key;
  const drifting = judged.features.filter(({ psi }) => psi >= monitor.body.threshold);
  const worst = judged.features[0];
  const signal: Signal = {
    project: monitor.project,
    kind: "drift",
    subjectType: "model",
    name: model,
    status: judged.status === "breach" ? "breach" : "ok",
    value: worst?.psi ?? 0,
    threshold: monitor.body.threshold,
    summary:
      `${drifting.length} of ${judged.features.length} features and outputs of ${model} v${version} drift in ` +
      `${startsAt.slice(0, 10)}..${endsAt.slice(0, 10)}` +
      (worst ? `, most of all ${worst.name} (PSI ${worst.psi.toFixed(2)})` : ""),
    details: {
      monitor: monitor.name,
      version,
      from: startsAt,
      to: endsAt,
      rows: window.rows,
      features: drifting,
    },
  };
  const now = toInstant(Date.now());
  const event = {
    specversion: "1.0" as const,
    id: `${monitor.name}/${model}/${version}/${startsAt}/${endsAt}/${window.revision}`,
    source: monitor.name,
    type: EVENT_TYPE.signal,
    time: now,
    knownat: now,
    definition: monitor.version,
    data: signal,
  };
  return encodeBatches([event], {
    subject: subject.signal(signal.kind, signal.subjectType, signal.name),
  })[0]!;
}
