/** The use case of looking at what was rejected. @module */
import type { RequestOf } from "shared/contracts/endpoint.ts";
import type { rejected } from "shared/contracts/data_ingestion.ts";
import type { Database } from "shared/db/connection.ts";
import { listRejected, type RejectedRow } from "./repository/ledger.ts";

/** A page must fit into one NATS message, whatever the records weigh. */
const MAX_PAGE_BYTES = 512 * 1024;

/** Rejected records, newest first, with the mark to go on after. */
export async function rejectedPage(
  db: Database,
  { source, limit, after }: RequestOf<typeof rejected>,
): Promise<{ rejected: Omit<RejectedRow, "number">[]; next: string | null }> {
  const before = after === undefined ? Number.MAX_SAFE_INTEGER : Number(after);
  const page = await listRejected(db, { source, before, limit, maxBytes: MAX_PAGE_BYTES });
  const last = page.at(-1);
  const more = last !== undefined &&
    (await listRejected(db, { source, before: last.number, limit: 1, maxBytes: 0 })).length > 0;
  return {
    rejected: page.map(({ number: _, ...record }) => record),
    next: more ? String(last.number) : null,
  };
}
