/** Publishes the labels of every model that has them declared, beside the other copies of the service. @module */
import { type CrashPoint, InjectedCrash } from "shared/bus/crash.ts";
import type { StoredDefinition } from "shared/contracts/definition.ts";
import type { ModelLabelBody } from "shared/contracts/feature_store.ts";
import { type Database, transaction } from "shared/db/connection.ts";
import type { Outbox } from "shared/db/outbox.ts";
import { messageOf } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart } from "shared/periodic_part.ts";
import { type Definitions, findEntity } from "./catalog.ts";
import { publishLabels } from "./publish_labels.ts";

export interface LabelPublisherDeps {
  db: Database;
  outbox: Pick<Outbox, "poke">;
  definitions: Pick<Definitions, "entity">;
  labels: () => readonly StoredDefinition<ModelLabelBody>[];
  /** Now by a project's clock, as far as it was applied, milliseconds since 1970. */
  now: (project: string) => number | Promise<number>;
  log: Logger;
  /** For tests: reached when a step is committed. */
  crashPoint?: CrashPoint;
}

/** How often to look whether labels have matured, or records have come late. */
const POLL_MS = 1_000;

export function createLabelPublisher(
  { db, outbox, definitions, labels, now, log, crashPoint }: LabelPublisherDeps,
): Part {
  return createPeriodicPart({
    name: "label publisher",
    action: "look for labels to publish",
    everyMs: POLL_MS,
    log,
    async work(signal) {
      for (const definition of labels()) {
        try {
          await publishAll(definition, signal);
        } catch (error) {
          if (error instanceof InjectedCrash) throw error;
          log.warn({ model: definition.name, err: error }, `Cannot publish labels: ${messageOf(error)}`);
        }
      }
    },
  });

  async function publishAll(
    definition: StoredDefinition<ModelLabelBody>,
    signal: AbortSignal,
  ): Promise<void> {
    const { keys } = await findEntity(definitions, definition.body.entity);
    const nowMs = await now(definition.project);
    while (!signal.aborted) {
      const { enqueued, more } = await transaction(
        db,
        (tx) => publishLabels(tx, { definition, keys, nowMs }),
      );
      crashPoint?.("written");
      if (enqueued) outbox.poke();
      if (!more) return;
    }
  }
}
