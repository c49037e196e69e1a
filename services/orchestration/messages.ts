/** Alerts from the bus -> the pipelines they start. @module */
import type { Incoming, Outcome } from "shared/bus/consumer.ts";
import { readEvents } from "shared/bus/read_events.ts";
import { alertSchema } from "shared/contracts/alert.ts";
import { type Database, transaction } from "shared/db/connection.ts";
import { type Pipeline, triggerPipeline } from "./trigger.ts";

export interface AlertHandlerDeps {
  db: Database;
  pipelines: () => readonly Pipeline[];
  /** Tells the leader that a run waits. */
  wake: () => void;
}

/** An alert that fires starts every pipeline of its project that names its rule; one that is resolved starts none. */
export function createAlertHandler({ db, pipelines, wake }: AlertHandlerDeps) {
  return async (messages: readonly Incoming[]): Promise<Outcome> => {
    const { events, aside } = readEvents(messages, alertSchema);
    const firing = events.map(({ data }) => data).filter(({ state }) => state === "firing");
    await transaction(db, async (tx) => {
      for (const alert of firing) {
        const started = pipelines().filter(({ project, body }) =>
          project === alert.project && body.on.alerts.includes(alert.rule)
        );
        for (const pipeline of started) {
          await triggerPipeline(tx, pipeline, { kind: "alert", reference: alert.id });
        }
      }
    });
    wake();
    return { aside };
  };
}
