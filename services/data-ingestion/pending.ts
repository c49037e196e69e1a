/** Counting what waits in EVENTS, by the stream's own means. @module */
import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import { nanos } from "nats";
import { STREAM, subject } from "shared/contracts/streams.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import type { Bus } from "shared/bus/connection.ts";

const SERVICE = "data-ingestion";
const STREAM_NAME = STREAM.events.name;
const DAY_MS = 86_400_000;

/** Messages of one source that arrived on one day. */
export interface WaitingMessages {
  source: string;
  /** Of arrival, UTC. */
  day: string;
  records: number;
}

export interface Waiting {
  /** Messages behind the consumer's acknowledgement floor: some of them may be dealt with. */
  messages: WaitingMessages[];
  /** Their sequences, both included, and since when the stream has been there. */
  span: { first: number; last: number; since: Instant };
}

/** A point of the stream: from this sequence on, or from this time. */
type Start = { sequence: number } | { time: Instant };

/** @param only the source that is asked about. Default: all */
export async function countWaiting(bus: Bus, only?: string): Promise<Waiting> {
  const { streams, consumers } = bus.jsm;
  const { ack_floor, num_pending, num_ack_pending } = await consumers.info(STREAM_NAME, SERVICE);
  const { state, created } = await streams.info(STREAM_NAME, {
    subjects_filter: subject.events(only ?? "*"),
  });
  const span = {
    first: Math.max(ack_floor.stream_seq + 1, state.first_seq),
    last: state.last_seq,
    since: toInstant(Date.parse(created)),
  };
  if (num_pending + num_ack_pending === 0) return { messages: [], span: { ...span, last: 0 } };

  const oldest = await bus.jsm.streams.getMessage(STREAM_NAME, { seq: span.first });
  // Gone since: then it is not older than what the stream begins with.
  const periods = daysBetween(oldest?.timestamp ?? state.first_ts, state.last_ts);
  const sources = Object.keys(state.subjects ?? {}).map((name) => name.slice(name.lastIndexOf(".") + 1));
  const counted = await Promise.all(
    sources.map(async (source) => {
      const counts = await countByPeriod(bus, source, { span, periods });
      return counts.map(({ name: day, messages }) => ({ source, day, records: messages }));
    }),
  );
  return { messages: counted.flat(), span };
}

/** A span of time up to the start of the next one. */
export interface Period {
  name: string;
  start: Instant;
}

/** Days in UTC, both included. */
function daysBetween(first: string, last: string): Period[] {
  const days: Period[] = [];
  const end = Date.parse(last);
  for (let at = Math.floor(Date.parse(first) / DAY_MS) * DAY_MS; at <= end; at += DAY_MS) {
    const start = toInstant(at);
    days.push({ name: start.slice(0, "2011-05-02".length), start });
  }
  return days;
}

/** The messages of a source within a span, by when they arrived: what is left from each period's start on tells. */
export async function countByPeriod(
  bus: Bus,
  source: string,
  { span, periods }: { span: Pick<Waiting["span"], "first" | "last">; periods: readonly Period[] },
): Promise<{ name: string; messages: number }[]> {
  // What came since the stream was looked at is no part of the span.
  const beyond = await countFrom(bus, source, { sequence: span.last + 1 });
  let left = await countFrom(bus, source, { sequence: span.first }) - beyond;
  const counts: { name: string; messages: number }[] = [];
  for (const [index, { name }] of periods.entries()) {
    if (left <= 0) break;
    const next = periods[index + 1];
    // The next period may begin before the span does, or after its end.
    const fromNext = next === undefined ? 0 : await countFrom(bus, source, { time: next.start }) - beyond;
    const after = Math.max(0, Math.min(left, fromNext));
    if (left > after) counts.push({ name, messages: left - after });
    left = after;
  }
  return counts;
}

/** Messages of a source from a point on. A consumer that delivers nothing is how the server counts them. */
async function countFrom(bus: Bus, source: string, start: Start): Promise<number> {
  const { consumers } = bus.jsm;
  const { name, num_pending } = await consumers.add(STREAM_NAME, {
    filter_subject: subject.events(source),
    ack_policy: AckPolicy.None,
    mem_storage: true,
    inactive_threshold: nanos(5_000),
    ...("sequence" in start
      ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: start.sequence }
      : { deliver_policy: DeliverPolicy.StartTime, opt_start_time: start.time }),
  });
  await consumers.delete(STREAM_NAME, name);
  return num_pending;
}
