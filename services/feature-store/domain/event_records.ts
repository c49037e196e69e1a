import type { DataRecord } from "shared/contracts/envelope.ts";
import { entityKey, type KeyType } from "shared/contracts/entity_key.ts";
import type { Reason } from "shared/errors.ts";

/** An entity that the views over a source describe. */
export interface DescribedEntity {
  name: string;
  keys: Readonly<Record<string, KeyType>>;
}

/** What an event says about entities. */
export interface EventEntities {
  /** The entities it is a record of, with their keys. */
  records: { entity: string; key: string }[];
  /** Key parts that are there but not of their type, and keys too long. A part that is missing, null or empty is no mistake. */
  reasons: Reason[];
}

/** An index holds the key, and beside it the id and three names. */
const MAX_KEY_LENGTH = 500;

export function entitiesOf(data: DataRecord, described: readonly DescribedEntity[]): EventEntities {
  const result: EventEntities = { records: [], reasons: [] };
  for (const { name, keys } of described) {
    const key = entityKey(data, keys);
    if (key === undefined) {
      result.reasons.push(...wrongParts(data, keys, name));
    } else if (key.length > MAX_KEY_LENGTH) {
      const message =
        `has a key of the entity "${name}" of ${key.length} characters, and may have ${MAX_KEY_LENGTH}`;
      result.reasons.push({ path: "", message });
    } else {
      result.records.push({ entity: name, key });
    }
  }
  return result;
}

function wrongParts(data: DataRecord, keys: Readonly<Record<string, KeyType>>, entity: string): Reason[] {
  return Object.entries(keys).flatMap(([part, type]) => {
    const value = data[part];
    if (value === undefined || value === null || value === "") return [];
    if (entityKey(data, { [part]: type }) !== undefined) return [];
    const found = JSON.stringify(value);
    return [{
      path: `/${part}`,
      message: `is ${found}: a key of the entity "${entity}" must be of type ${type}`,
    }];
  });
}
