/** The SQL that leads from records to the messages that brought them. @module */
import { type Instant, toInstant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import { together } from "shared/db/together.ts";
import type { LateRecord, Snapshot } from "../domain/consistency.ts";

/** As long as predictions are kept: after that nobody asks. */
const KEPT = "31 days";

/** Notes which messages of CLEAN this transaction applies, and forgets a few old notes. */
export async function noteApplied(tx: Transaction, positions: readonly number[]): Promise<void> {
  if (positions.length === 0) return;
  await together(
    tx`insert into applied_messages (last_position) values (${Math.max(...positions)})`,
    tx`
      delete from applied_messages where tx = any(array(
        select tx from applied_messages where applied_at < now() - ${KEPT}::interval limit 2
      ))`,
  );
}

/** What a snapshot did not see of an entity's records up to T, known by then, as they are now. */
export async function readLateRecords(
  db: Queryable,
  query: { entity: string; source: string; key: string; atMs: number; snapshot: Snapshot },
): Promise<LateRecord[]> {
  const { entity, source, key, atMs, snapshot } = query;
  const at: Instant = toInstant(atMs);
  const rows = await db<LateRow[]>`
    select id, definition, date_part('epoch', event_time) as time, date_part('epoch', known_at) as known_at,
      applied_tx, withdrawn_tx, applied.last_position as applied, withdrawn.last_position as withdrawn
    from records
    left join applied_messages as applied on applied.tx = applied_tx
    left join applied_messages as withdrawn on withdrawn.tx = withdrawn_tx
    where entity = ${entity} and source = ${source} and entity_key = ${key}
      and event_time <= ${at} and known_at <= ${at}
      and (applied_tx >= ${snapshot.below} or withdrawn_tx >= ${snapshot.below})`;
  return rows.flatMap((row): LateRecord[] => {
    const { id, definition, time, known_at, applied_tx, withdrawn_tx } = row;
    const record = { source, id, definition, timeMs: toMs(time), knownAtMs: toMs(known_at) };
    if (!snapshot.sees(applied_tx)) return [{ ...record, change: "stored", position: row.applied }];
    if (withdrawn_tx === null || snapshot.sees(withdrawn_tx)) return [];
    return [{ ...record, change: "withdrawn", position: row.withdrawn }];
  });
}

interface LateRow {
  id: string;
  definition: number;
  /** Seconds since 1970. */
  time: number;
  known_at: number;
  applied_tx: number;
  withdrawn_tx: number | null;
  /** Positions; null: not of a message. */
  applied: number | null;
  withdrawn: number | null;
}

function toMs(seconds: number): number {
  return Math.round(seconds * 1_000);
}
