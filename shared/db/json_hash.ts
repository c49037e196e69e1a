import { createHash } from "node:crypto";

/**
 * SHA-256, in hex, of a JSON value in canonical form: fields in the order of their names, so that two equal
 * values have one hash.
 */
export function jsonHash(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value, byName) ?? "").digest("hex");
}

function byName(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
}
