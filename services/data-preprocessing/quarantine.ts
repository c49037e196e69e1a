/** The use case of looking at what was quarantined. @module */
import type { quarantined } from "shared/contracts/data_preprocessing.ts";
import type { RequestOf } from "shared/contracts/endpoint.ts";
import type { Database } from "shared/db/connection.ts";
import { listQuarantined, type QuarantinedRow } from "./repository.ts";

/** A page must fit into one NATS message, whatever the records weigh. */
const MAX_PAGE_BYTES = 512 * 1024;

/** Quarantined records, newest first, with the mark to go on after. */
export async function quarantinedPage(
  db: Database,
  { source, limit, after }: RequestOf<typeof quarantined>,
): Promise<{ quarantined: Omit<QuarantinedRow, "number">[]; next: string | null }> {
  const before = after === undefined ? Number.MAX_SAFE_INTEGER : Number(after);
  const page = await listQuarantined(db, { source, before, limit, maxBytes: MAX_PAGE_BYTES });
  const last = page.at(-1);
  const more = last !== undefined &&
    (await listQuarantined(db, { source, before: last.number, limit: 1, maxBytes: 0 })).length > 0;
  return {
    quarantined: page.map(({ number: _, ...record }) => record),
    next: more ? String(last.number) : null,
  };
}
