import type { DataRecord } from "shared/contracts/envelope.ts";

/**
 * The name of the entity that a record's fields point to, made as data-ingestion makes it: the text of one field, or
 * a JSON array of the texts of several.
 *
 * @returns nothing when a field holds no text, number or boolean
 */
export function entityName(data: DataRecord, fields: readonly string[]): string | undefined {
  const parts: string[] = [];
  for (const field of fields) {
    const value = data[field];
    if (
      typeof value !== "number" && typeof value !== "boolean" && (typeof value !== "string" || value === "")
    ) {
      return undefined;
    }
    parts.push(String(value));
  }
  return parts.length === 1 ? parts[0] : JSON.stringify(parts);
}
