/**
 * How values cross between PostgreSQL's text format and ours.
 *
 * @module
 */
import type { Instant } from "../contracts/time.ts";

/** PostgreSQL's text of a time in UTC: `2011-05-02 08:26:00.5+00`, `2011-05-02 08:26:00`. */
const TIME = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:\+00)?$/;

/** The instant of a time as PostgreSQL writes it in UTC. Microseconds are cut. */
export function parseTimestamp(text: string): Instant {
  const match = TIME.exec(text);
  if (!match) {
    throw new RangeError(
      `Cannot read the time "${text}" from PostgreSQL: it must be in UTC and of the years 0001 to 9999`,
    );
  }
  return `${match[1]}T${match[2]}.${(match[3] ?? "").slice(0, 3).padEnd(3, "0")}Z`;
}

/** A count as a number. */
export function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(
      `Cannot read ${text} from PostgreSQL as a number: it must lie within 2^53; select it as text`,
    );
  }
  return value;
}

/** For postgres.js, by PostgreSQL's object ids. */
export const VALUE_TYPES = {
  int8: { to: 20, from: [20], serialize: String, parse: parseInt8 },
  /** `timestamp` (1114) and `timestamptz` (1184). */
  instant: {
    to: 1184,
    from: [1114, 1184],
    serialize: (value: Date | string) => value instanceof Date ? value.toISOString() : value,
    parse: parseTimestamp,
  },
  /** `date`, which is no instant: the driver would make it midnight somewhere. */
  day: { to: 1082, from: [1082], serialize: String, parse: (text: string) => text },
};
