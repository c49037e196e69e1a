/** The use case of looking at what was rejected. @module */
import type { ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import type { rejected } from "shared/contracts/data_ingestion.ts";
import type { Database } from "shared/db/connection.ts";
import { isMoreRejected, listRejected } from "./repository/rejected.ts";

/** A page must fit into one NATS message of 1 MiB, whatever the records weigh: reasons are bounded where they are made. */
const MAX_PAGE_BYTES = 512 * 1024;
/** A payload that has more is cut to so many characters. */
const MAX_PAYLOAD_BYTES = 512 * 1024;
const CUT_TO = 16_384;

/** Rejected records, newest first, with the mark to go on after. */
export async function rejectedPage(
  db: Database,
  { limit, after, ...filter }: RequestOf<typeof rejected>,
): Promise<ReplyOf<typeof rejected>> {
  const page = await listRejected(db, filter, {
    before: after === undefined ? Number.MAX_SAFE_INTEGER : Number(after),
    limit,
    maxBytes: MAX_PAGE_BYTES,
    maxPayloadBytes: MAX_PAYLOAD_BYTES,
    cutTo: CUT_TO,
  });
  const last = page.at(-1);
  const more = last !== undefined && await isMoreRejected(db, filter, { before: last.number });
  return { rejected: page, next: more ? String(last.number) : null };
}
