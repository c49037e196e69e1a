import { z } from "zod";
import { nameSchema } from "./names.ts";
import { storableTextSchema } from "./storable_text.ts";

/** The types a part of an entity key may have. Floating point is not one: `17850.0` is cast first. */
export const keyTypeSchema = z.enum(["string", "integer", "boolean"]);
export type KeyType = z.infer<typeof keyTypeSchema>;

/** An entity as a caller names it: `{ customer_id: 17850 }`. */
export const entitySchema = z.record(nameSchema, z.union([storableTextSchema, z.int(), z.boolean()]));
export type Entity = z.infer<typeof entitySchema>;

/**
 * The canonical text of an entity key: a JSON array of its parts in declared order, integers as decimal
 * strings, so that 17850 and "17850" of an integer key are one entity and `17850.0` is none.
 *
 * @param keys the declared parts in order, name to type
 * @returns the key, or `undefined` when a part is missing, null or not of its declared type
 */
export function entityKey(
  values: Readonly<Record<string, unknown>>,
  keys: Readonly<Record<string, KeyType>>,
): string | undefined {
  const parts: (string | boolean)[] = [];
  for (const [name, type] of Object.entries(keys)) {
    const part = canonicalPart(values[name], type);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return JSON.stringify(parts);
}

/** The entity that a canonical key names, integers as numbers where they are exact. */
export function entityOf(key: string, keys: Readonly<Record<string, KeyType>>): Entity {
  const parts = JSON.parse(key) as (string | boolean)[];
  return Object.fromEntries(
    Object.entries(keys).map(([name, type], index) => {
      const part = parts[index]!;
      return [name, type === "integer" && Number.isSafeInteger(Number(part)) ? Number(part) : part];
    }),
  );
}

function canonicalPart(value: unknown, type: KeyType): string | boolean | undefined {
  switch (type) {
    case "string":
      return typeof value === "string" && value !== "" ? value : undefined;
    case "boolean":
      return typeof value === "boolean" ? value : undefined;
    case "integer":
      if (typeof value === "bigint" || Number.isSafeInteger(value)) return String(value);
      return typeof value === "string" && /^(0|-?[1-9]\d*)$/.test(value) ? value : undefined;
  }
}
