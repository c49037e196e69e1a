/**
 * The SQL that looks at definitions in the table itself, where a copy's memory of them would be too old: what was
 * acknowledged must count from then on.
 *
 * @module
 */
import type { KeyType } from "shared/contracts/entity_key.ts";
import type { Queryable } from "shared/db/connection.ts";
import type { DescribedEntity } from "../domain/event_records.ts";

/**
 * The entities that views describe, by the source that the views read. One that was described once stays so: versions of
 * feature services, and views that come again, are of its records too.
 */
export async function readDescribedEntities(db: Queryable): Promise<Map<string, DescribedEntity[]>> {
  const rows = await db<{ source: string; entity: string; keys: Record<string, KeyType> }[]>`
    select source, entity, body -> 'keys' as keys
    from described_sources join current_definitions on kind = 'entity' and name = entity
    order by source, entity`;
  const described = new Map<string, DescribedEntity[]>();
  for (const { source, entity, keys } of rows) {
    const entities = described.get(source) ?? [];
    described.set(source, entities);
    entities.push({ name: entity, keys });
  }
  return described;
}

/** The bodies in force of a kind, by name: of all definitions, or of those named. */
export async function readBodies(
  db: Queryable,
  kind: string,
  names?: readonly string[],
): Promise<Map<string, unknown>> {
  const named = names === undefined ? db`` : db`and name = any(${names as string[]})`;
  const rows = await db<{ name: string; body: unknown }[]>`
    select name, body from current_definitions where kind = ${kind} ${named}`;
  return new Map(rows.map(({ name, body }) => [name, body]));
}
