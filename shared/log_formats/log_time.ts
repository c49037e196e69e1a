import { type Instant, parseTime, toInstant } from "../contracts/time.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** February 29 comes back after eight years at the latest. */
const MOST_YEARS_BACK = 8;

const ACCESS_LOG_TIME =
  /^(\d{2})\/([A-Z][a-z]{2})\/(\d{4}):([01]\d|2[0-3]):([0-5]\d):([0-5]\d) ([+-]\d{2})(\d{2})$/;
const SYSLOG_TIME = /^([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d{2}:\d{2}:\d{2})$/;

/** A time as access logs write it, `17/May/2015:10:05:03 +0000`. */
export function accessLogTime(text: string): Instant | undefined {
  const match = ACCESS_LOG_TIME.exec(text);
  if (match === null) return undefined;
  const [, day, month = "", year, hour, minute, second, zoneHours = "", zoneMinutes] = match;
  const date = new Date(
    Date.UTC(Number(year), MONTHS.indexOf(month), Number(day), Number(hour), Number(minute), Number(second)),
  );
  // What is no day of a month, or no month, comes out as another day.
  if (date.getUTCDate() !== Number(day) || !MONTHS.includes(month) || Number(year) < 100) return undefined;
  const sign = zoneHours.startsWith("-") ? -1 : 1;
  const offsetMinutes = Number(zoneHours) * 60 + sign * Number(zoneMinutes);
  return toInstant(date.getTime() - offsetMinutes * MINUTE_MS);
}

/**
 * A time as RFC 3164 writes it, `Oct  1 22:14:15`, taken for UTC. It has no year: it is the latest one in which the
 * time lies at most a day after the arrival, for a line is written before it arrives, but by the clock of another
 * zone. So a line of December 31 that arrives on January 1 is of the year before.
 */
export function syslogTime(text: string, arrivedAt: Instant): Instant | undefined {
  const match = SYSLOG_TIME.exec(text);
  if (match === null) return undefined;
  const [, month = "", day = "", clock = ""] = match;
  const monthAndDay = `${String(MONTHS.indexOf(month) + 1).padStart(2, "0")}-${day.padStart(2, "0")}`;
  const latest = toInstant(Date.parse(arrivedAt) + DAY_MS);
  const newestYear = Number(latest.slice(0, 4));
  for (let year = newestYear; year >= newestYear - MOST_YEARS_BACK; year--) {
    const time = parseTime(`${String(year).padStart(4, "0")}-${monthAndDay}T${clock}`);
    if (time !== undefined && time <= latest) return time;
  }
  return undefined;
}

/** A time in any of the ways in which logs write it: as above, or as `parseTime` reads it. */
export function anyLogTime(text: string, arrivedAt: Instant): Instant | undefined {
  return parseTime(text) ?? accessLogTime(text) ?? syslogTime(text, arrivedAt);
}
