import type { ClockKind } from "shared/contracts/data_ingestion.ts";
import { durationToMs, type Instant, toInstant } from "shared/contracts/time.ts";
import type { Reason } from "shared/errors.ts";
import { pointerToken, shown } from "shared/reason_text.ts";
import type { ReadRecord } from "./received.ts";
import { PLAIN_TIMES } from "./plain_times.ts";
import type { Source, TimeReader } from "./source.ts";

/** A project's clock: for `event` with the newest event time seen, absent before the first event. */
export interface Clock {
  kind: ClockKind;
  newest: Instant | undefined;
}

/** How far ahead of the wall an event may lie when its source doesn't say: clocks of machines differ. */
export const DEFAULT_FUTURE_BOUND_MS = 5 * 60_000;

/** The declared field; without one the envelope's time; without that the arrival. */
export function eventTime(
  record: ReadRecord,
  { body, readTime }: Source,
  reasons: Reason[],
): Instant | undefined {
  const { data, envelope, arrivedAt } = record;
  if (body.time !== null) {
    return timeField(data, body.time, { what: "the time of the event", by: readTime, reasons });
  }
  if (envelope.time === undefined) return arrivedAt;
  const time = PLAIN_TIMES.read(envelope.time);
  if (time === undefined) {
    reasons.push({
      path: "/time",
      message: `must be a time such as ${PLAIN_TIMES.example}, not ${shown(envelope.time)}`,
    });
  }
  return time;
}

/** When the world could know the record. */
export function knownAtOf(
  { data, arrivedAt }: ReadRecord,
  { body }: Source,
  { time, reasons }: { time: Instant; reasons: Reason[] },
): Instant | undefined {
  if (body.knownAt === "arrival") return arrivedAt;
  if (body.knownAt === "event_time") return time;
  if ("delay" in body.knownAt) return toInstant(Date.parse(time) + durationToMs(body.knownAt.delay));
  return timeField(data, body.knownAt.field, { what: "when the record was known", by: PLAIN_TIMES, reasons });
}

/**
 * No event may lie further ahead of the wall than the source's bound. Where the project lives by its events,
 * the source's bound, if it has one, counts from the newest event seen instead.
 */
export function refuseFuture(
  { time, arrivedAt }: { time: Instant; arrivedAt: Instant },
  { body }: Source,
  { clock, nowMs, reasons }: { clock: Clock | undefined; nowMs: number; reasons: Reason[] },
): void {
  const path = `/${pointerToken(body.time ?? "time")}`;
  const followsEvents = clock?.kind === "event";
  const declaredMs = body.futureBound === undefined ? undefined : durationToMs(body.futureBound);
  // What has arrived has happened, also by the clock of a machine that runs ahead of this one.
  if (time > arrivedAt) {
    const aheadMs = followsEvents ? DEFAULT_FUTURE_BOUND_MS : declaredMs ?? DEFAULT_FUTURE_BOUND_MS;
    const latest = toInstant(nowMs + aheadMs);
    if (time > latest) {
      reasons.push({ path, message: `lies in the future: ${time} is after ${latest}` });
      return;
    }
  }
  if (!followsEvents || declaredMs === undefined || clock.newest === undefined || time <= clock.newest) {
    return;
  }
  const latest = toInstant(Date.parse(clock.newest) + declaredMs);
  if (time > latest) {
    reasons.push({ path, message: `lies too far ahead of the project's clock: ${time} is after ${latest}` });
  }
}

/**
 * No event may come later than the source's bound allows. Out of order within the bound is as it should be.
 *
 * @param options.clock of its project. By its events, it counts from the newest seen, and nothing is late before the
 * first; by the wall, from the arrival
 */
export function refuseLate(
  { time, arrivedAt }: { time: Instant; arrivedAt: Instant },
  { body: { lateBound, time: field } }: Source,
  { clock, reasons }: { clock: Clock | undefined; reasons: Reason[] },
): void {
  const followsEvents = clock?.kind === "event";
  const now = followsEvents ? clock.newest : arrivedAt;
  if (lateBound === undefined || now === undefined) return;
  const earliest = toInstant(Date.parse(now) - durationToMs(lateBound));
  if (time >= earliest) return;
  const since = followsEvents ? `the newest event, of ${now}` : `its arrival at ${now}`;
  reasons.push({
    path: `/${pointerToken(field ?? "time")}`,
    message: `comes too late: ${time} is before ${earliest}, ${lateBound} before ${since}`,
  });
}

function timeField(
  data: Readonly<Record<string, unknown>>,
  field: string,
  { what, by, reasons }: { what: string; by: TimeReader; reasons: Reason[] },
): Instant | undefined {
  const time = by.read(data[field]);
  if (time === undefined) {
    const found = data[field] === undefined ? "it is not there" : `not ${shown(data[field])}`;
    reasons.push({
      path: `/${pointerToken(field)}`,
      message: `must be a time such as ${by.example}, for it is ${what}: ${found}`,
    });
  }
  return time;
}
