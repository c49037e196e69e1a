/** The SQL that leads from records to the messages that brought them. @module */
import type { Instant } from "shared/contracts/time.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";

/** As long as predictions are kept: after that nobody asks. */
const KEPT = "31 days";

/** Notes which messages of CLEAN this transaction applies, and forgets a few old notes. */
export async function noteApplied(tx: Transaction, positions: readonly number[]): Promise<void> {
  if (positions.length === 0) return;
  await tx`insert into applied_messages (last_position) values (${Math.max(...positions)})`;
  await tx`
    delete from applied_messages where tx = any(array(
      select tx from applied_messages where applied_at < now() - ${KEPT}::interval limit 2
    ))`;
}

/** A record that a read with an older position may not have seen. */
export interface LateRecord {
  source: string;
  position: number;
  knownAtMs: number;
}

/** Records of an entity up to T, known by then, that came with messages after a position. */
export async function readLateRecords(
  db: Queryable,
  query: { entity: string; key: string; sources: readonly string[]; atMs: number; position: number },
): Promise<LateRecord[]> {
  const at: Instant = toInstant(query.atMs);
  const rows = await db<{ source: string; position: number; known_at: number }[]>`
    select source, last_position as position, date_part('epoch', known_at) as known_at
    from records join applied_messages on tx = applied_tx
    where entity = ${query.entity} and entity_key = ${query.key} and source = any(${query
    .sources as string[]})
      and event_time <= ${at} and known_at <= ${at} and last_position > ${query.position}`;
  return rows.map(({ known_at, ...row }) => ({ ...row, knownAtMs: Math.round(known_at * 1_000) }));
}
