/** Telling how far a run is. @module */
import type { Bus } from "shared/bus/connection.ts";
import type { RunEvent } from "shared/contracts/model_training.ts";
import { subject } from "shared/contracts/streams.ts";
import { messageOf } from "shared/errors.ts";
import type { Logger } from "shared/log.ts";

/**
 * Tells who listens; after the commit, since who hears of an event must find it. Nobody depends on it: the events stand
 * in the database, and whoever follows a run looks there as well.
 */
export function publishRunEvent({ bus, log }: { bus: Bus; log: Logger }, event: RunEvent): void {
  try {
    bus.nc.publish(subject.trainingRun(event.run), JSON.stringify(event));
  } catch (error) {
    log.debug({ run: event.run, reason: messageOf(error) }, "Cannot tell how far a run is");
  }
}
