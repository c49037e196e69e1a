/** The use case of looking at what was quarantined. @module */
import type { quarantined } from "shared/contracts/data_preprocessing.ts";
import type { ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import type { Database } from "shared/db/connection.ts";
import { listQuarantined } from "./repository/quarantined.ts";

/** A page must fit into one NATS message, whatever the records weigh. */
const MAX_PAGE_BYTES = 512 * 1024;

/** Quarantined records, newest first, with the mark to go on after. */
export async function quarantinedPage(
  db: Database,
  { limit, after, ...filter }: RequestOf<typeof quarantined>,
): Promise<ReplyOf<typeof quarantined>> {
  const before = after === undefined ? Number.MAX_SAFE_INTEGER : Number(after);
  const page = await listQuarantined(db, filter, { before, limit, maxBytes: MAX_PAGE_BYTES });
  const last = page.at(-1);
  const more = last !== undefined &&
    (await listQuarantined(db, filter, { before: last.number, limit: 1, maxBytes: 0 })).length > 0;
  return { quarantined: page, next: more ? String(last.number) : null };
}
