/** The SQL of the states of entities. @module */
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import type { AcceptedEvent } from "../domain/judge.ts";

/** Keeps what the events of entity sources say about their entities; other events say nothing. */
export async function insertStates(tx: Transaction, events: readonly AcceptedEvent[]): Promise<void> {
  const states = events.filter(({ entity }) => entity !== undefined);
  if (states.length === 0) return;
  const rows = states.map(({ source, entity, time, knownAt, id, arrivedAt, data }) => ({
    source,
    entity,
    time,
    knownAt,
    id,
    arrivedAt,
    data,
  }));
  await tx`
    insert into entity_states (source, entity, event_time, known_at, id, arrived_at, data)
    select source, entity, time, "knownAt", id, "arrivedAt", data
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as r (
      source text, entity text, time timestamptz, "knownAt" timestamptz, id text, "arrivedAt" timestamptz, data json
    )
    on conflict do nothing`;
}

export interface EntityState {
  time: Instant;
  knownAt: Instant;
  data: DataRecord;
}

/** The newest state that began by `at`, of those that were known by `knownAt`. */
export async function findState(
  db: Queryable,
  { source, entity, at, knownAt }: { source: string; entity: string; at: Instant; knownAt: Instant },
): Promise<EntityState | null> {
  const [state] = await db<EntityState[]>`
    select event_time as time, known_at as "knownAt", data
    from entity_states
    where source = ${source} and entity = ${entity} and event_time <= ${at} and known_at <= ${knownAt}
    order by event_time desc, known_at desc, id desc
    limit 1`;
  return state ?? null;
}
