/**
 * The SQL that looks at definitions in the table itself, where a copy's memory of them would be too old: what was
 * acknowledged must count from then on.
 *
 * @module
 */
import type { KeyType } from "shared/contracts/entity_key.ts";
import type { Queryable } from "shared/db/connection.ts";
import type { DescribedEntity } from "../domain/event_records.ts";

/** The entities that the views in force describe, by the source that the views read. */
export async function readDescribedEntities(db: Queryable): Promise<Map<string, DescribedEntity[]>> {
  const rows = await db<{ source: string; entity: string; keys: Record<string, KeyType> }[]>`
    select view.body ->> 'source' as source, entity.name as entity, entity.body -> 'keys' as keys
    from current_definitions as view
    join current_definitions as entity on entity.kind = 'entity' and entity.name = view.body ->> 'entity'
    where view.kind = 'view'
    order by source, entity`;
  const described = new Map<string, DescribedEntity[]>();
  for (const { source, entity, keys } of rows) {
    const entities = described.get(source) ?? [];
    described.set(source, entities);
    if (entities.at(-1)?.name !== entity) entities.push({ name: entity, keys });
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
