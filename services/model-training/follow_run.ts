/** Following a run as it goes: its events from the database, and the bus only to know when to look. @module */
import type { Bus } from "shared/bus/connection.ts";
import type { RunEvent } from "shared/contracts/model_training.ts";
import { subject } from "shared/contracts/streams.ts";
import type { Database } from "shared/db/connection.ts";
import { delay } from "shared/delay.ts";
import { listEvents } from "./repository/run_records.ts";

export interface FollowOptions {
  /** Events up to this sequence are known. */
  after: number;
  signal: AbortSignal;
  /** Told when nothing has happened for a while, so that whoever waits can be told that all is well. */
  onQuiet(): Promise<void>;
}

const PAGE = 500;
/** A message on the bus may be lost: the database is looked at all the same. */
const LOOK_EVERY_MS = 1_000;
const QUIET_MS = 15_000;

const isOver = ({ status }: RunEvent) => status !== "queued" && status !== "running";

/**
 * The events of a run, oldest first, until the one with which it ended, or the signal. Any copy of the service can tell
 * them, whichever works on the run.
 */
export async function* followRun(
  { db, bus }: { db: Database; bus: Bus },
  run: string,
  { after, signal, onQuiet }: FollowOptions,
): AsyncGenerator<RunEvent> {
  let alarm = new AbortController();
  const heard = bus.nc.subscribe(subject.trainingRun(run), { callback: () => alarm.abort() });
  try {
    let sequence = after;
    let quietSince = performance.now();
    while (!signal.aborted) {
      // Before the look: what is heard during it must lead to another one.
      alarm = new AbortController();
      const events = await listEvents(db, run, { after: sequence, limit: PAGE });
      for (const event of events) {
        yield event;
        sequence = event.sequence;
        if (isOver(event)) return;
      }
      if (events.length > 0) quietSince = performance.now();
      if (events.length === PAGE) continue;
      if (performance.now() - quietSince > QUIET_MS) {
        await onQuiet();
        quietSince = performance.now();
      }
      await delay(LOOK_EVERY_MS, AbortSignal.any([signal, alarm.signal]));
    }
  } finally {
    heard.unsubscribe();
  }
}
