/** The SQL of what cleanings remember: the states of entities, and the keys that were used. @module */
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import type { KeyScope, KeyUse, Memory } from "../domain/memory.ts";

/** Whose keys: each replay has its own. */
export interface MemoryOwner {
  /** Empty: the live flow. */
  run: string;
  source: string;
}

export interface DatabaseMemory extends Memory {
  /** Writes what was to be remembered. */
  save(tx: Transaction): Promise<void>;
}

/** The memory as it stands in the database; nothing is written before it is saved. */
export function createMemory(db: Queryable, { run, source }: MemoryOwner): DatabaseMemory {
  const remembered: { scope: KeyScope; uses: readonly KeyUse[] }[] = [];
  const toRows = (scope: KeyScope, uses: readonly KeyUse[]) =>
    uses.map(({ key, time, id }, n) => ({ n, text: `${run}\n${source}\n${scope.name}\n${key}`, time, id }));

  return {
    async statesOf(from, questions) {
      const rows = questions.map(({ entity, at }, n) => ({ n, entity, at }));
      const found = await db<{ n: number; data: DataRecord }[]>`
        select r.n, s.data
        from json_to_recordset(${JSON.stringify(rows)}::text::json)
          as r (n integer, entity text, at timestamptz)
        cross join lateral (
          select data
          from entity_states
          where source = ${from} and entity = r.entity and event_time <= r.at and known_at <= r.at
          order by event_time desc, id desc
          limit 1
        ) as s`;
      const states = new Map(found.map(({ n, data }) => [n, data]));
      return questions.map((_, n) => states.get(n));
    },
    async wereUsed(scope, uses) {
      const found = await db<{ n: number }[]>`
        select r.n
        from json_to_recordset(${JSON.stringify(toRows(scope, uses))}::text::json)
          as r (n integer, text text, "time" timestamptz, id text)
        where exists (
          select from used_keys k
          where k.key = md5(r.text)::uuid
            and (k.event_time, k.id) < (r."time", r.id collate "C")
            and k.event_time > r."time" - ${`${scope.withinMs} milliseconds`}::interval
        )`;
      const used = new Set(found.map(({ n }) => n));
      return uses.map((_, n) => used.has(n));
    },
    rememberUses(scope, uses) {
      if (uses.length > 0) remembered.push({ scope, uses });
    },
    async save(tx) {
      for (const { scope, uses } of remembered.splice(0)) {
        await tx`
          insert into used_keys (key, event_time, id, keep_until)
          select md5(text)::uuid, "time", id, now() + ${`${scope.withinMs} milliseconds`}::interval
          from json_to_recordset(${JSON.stringify(toRows(scope, uses))}::text::json)
            as r (n integer, text text, "time" timestamptz, id text)
          on conflict do nothing`;
      }
    },
  };
}

/** What an entity was from a time on. */
export interface EntityState {
  source: string;
  entity: string;
  time: Instant;
  id: string;
  knownAt: Instant;
  cleaning: number;
  data: DataRecord;
}

/** Keeps states; of two with the same id, the one of the newer cleaning. */
export async function keepStates(tx: Transaction, states: readonly EntityState[]): Promise<void> {
  if (states.length === 0) return;
  await tx`
    insert into entity_states as s (source, entity, event_time, id, known_at, cleaning, data)
    select distinct on (source, entity, "time", id) source, entity, "time", id, "knownAt", cleaning, data
    from json_to_recordset(${JSON.stringify(states)}::text::json) as r (
      source text, entity text, "time" timestamptz, id text, "knownAt" timestamptz, cleaning integer, data json
    )
    order by source, entity, "time", id, cleaning desc
    on conflict (source, entity, event_time, id) do update
    set known_at = excluded.known_at, cleaning = excluded.cleaning, data = excluded.data
    where excluded.cleaning > s.cleaning`;
}

/** Forgets states that their cleaning, or a newer one, makes no more. */
export async function retractStates(tx: Transaction, states: readonly EntityState[]): Promise<void> {
  if (states.length === 0) return;
  await tx`
    delete from entity_states s
    using json_to_recordset(${JSON.stringify(states)}::text::json)
      as r (source text, entity text, "time" timestamptz, id text, cleaning integer)
    where s.source = r.source and s.entity = r.entity and s.event_time = r."time" and s.id = r.id
      and s.cleaning <= r.cleaning`;
}
