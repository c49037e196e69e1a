import type { DataRecord } from "shared/contracts/envelope.ts";

/** With its envelope a record must fit into one NATS message; one that does not would hold back its whole batch. */
export const MAX_RECORD_BYTES = 900_000;

const encoder = new TextEncoder();

/** Measured only where the number of characters leaves it open. */
export function isTooLarge(data: DataRecord): boolean {
  let most = 0;
  for (const name of Object.keys(data)) {
    const value = data[name];
    if (typeof value === "string" && value.length > MAX_RECORD_BYTES) return true;
    // A control character takes six bytes.
    most += 6 * (name.length + mostCharacters(value)) + 4;
  }
  return most > MAX_RECORD_BYTES && encoder.encode(JSON.stringify(data)).length > MAX_RECORD_BYTES;
}

function mostCharacters(value: unknown): number {
  if (typeof value === "string") return value.length;
  return typeof value === "object" ? JSON.stringify(value).length : LONGEST_NUMBER;
}

/** `-1.7976931348623157e+308`. */
const LONGEST_NUMBER = 24;
