/** Ids of predictions: UUIDs of version 7, whose beginning is their time (RFC 9562, sections 5.7 and 6.2). @module */

const TIME_DIGITS = 12;
/** How many ids share what is drawn by chance; the last four digits count them. */
const IDS_PER_DRAW = 2 ** 16;
const COUNTER_DIGITS = 4;
const VERSION_AT = 14;
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

let drawnAtMs = -1;
let beginning = "";
let used = 0;

/**
 * A new id. 58 bits are drawn at random for each millisecond, and the ids within it are counted: a thousand rows need no
 * thousand draws.
 *
 * @param ms its time, in milliseconds since 1970
 */
export function predictionId(ms: number): string {
  if (ms !== drawnAtMs || used === IDS_PER_DRAW) draw(ms);
  const counter = used++;
  return beginning + HEX[counter >> 8]! + HEX[counter & 0xff]!;
}

export function predictionIds(count: number, ms: number): string[] {
  const ids = [predictionId(ms)];
  while (ids.length < count) ids.push(predictionId(ms));
  return ids;
}

function draw(ms: number): void {
  const digits = ms.toString(16).padStart(TIME_DIGITS, "0");
  const random = crypto.randomUUID().slice(VERSION_AT + 1, -COUNTER_DIGITS);
  beginning = `${digits.slice(0, 8)}-${digits.slice(8)}-7${random}`;
  drawnAtMs = ms;
  used = 0;
}
