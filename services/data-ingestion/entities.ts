/** The use case of asking what an entity was. @module */
import type { entityState } from "shared/contracts/data_ingestion.ts";
import type { ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { findState } from "./repository/entities.ts";

/** The state of an entity at a time, as far as it was known by another; both are now unless they are said. */
export async function stateOf(
  db: Database,
  { source, entity, at, knownAt }: RequestOf<typeof entityState>,
): Promise<ReplyOf<typeof entityState>> {
  const now = toInstant(Date.now());
  return { state: await findState(db, { source, entity, at: at ?? now, knownAt: knownAt ?? now }) };
}
