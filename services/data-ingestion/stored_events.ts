/** The use case of looking at what is stored. @module */
import type { ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import type { storedEvents } from "shared/contracts/data_ingestion.ts";
import type { Database } from "shared/db/connection.ts";
import { listDaysOf, listStoredEvents } from "./repository/stored_events.ts";

/** An answer must fit into one NATS message, whatever the records weigh. */
const MAX_BYTES = 512 * 1024;

/**
 * The records of a source that arrived last, newest first: fewer than were asked for where they would be too large.
 *
 * Day by day: the ledger knows on which days any arrived, and those of a day lie in a partition of their own.
 */
export async function newestEvents(
  db: Database,
  { source, limit }: RequestOf<typeof storedEvents>,
): Promise<ReplyOf<typeof storedEvents>> {
  const events: ReplyOf<typeof storedEvents>["events"] = [];
  let bytes = 0;
  for (const day of await listDaysOf(db, source)) {
    const ofDay = await listStoredEvents(db, { source, day, limit: limit - events.length });
    for (const { bytes: size, ...event } of ofDay) {
      bytes += size;
      if (bytes > MAX_BYTES && events.length > 0) return { events };
      events.push(event);
    }
    if (events.length >= limit) break;
  }
  return { events };
}
