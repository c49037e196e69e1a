import type { Instant } from "shared/contracts/time.ts";
import type { Reason } from "shared/errors.ts";
import { eventId } from "./event_id.ts";
import { type Clock, eventTime, knownAtOf, refuseFuture } from "./event_time.ts";
import { messageIdOf, readRecords } from "./read_records.ts";
import {
  type Envelope,
  type FoundRecord,
  isReadable,
  originText,
  type Place,
  type ReadRecord,
  type Received,
  type UnreadableRecord,
} from "./received.ts";
import type { Source } from "./source.ts";

/** A record that may come in, with everything that names and dates it. */
export interface AcceptedEvent extends Place {
  id: string;
  project: string;
  time: Instant;
  knownAt: Instant;
  definition: number;
  data: Record<string, unknown>;
  /** The data as JSON. */
  text: string;
  envelope: Envelope;
}

/** A record that may not. */
export type RefusedRecord = UnreadableRecord;

/** A record whose id came before, in the same batch or in an earlier message. */
export interface RepeatedEvent extends Place {
  id: string;
}

export interface Judgement {
  accepted: AcceptedEvent[];
  refused: RefusedRecord[];
  repeated: RepeatedEvent[];
}

export interface Circumstances {
  sources: ReadonlyMap<string, Source>;
  /** By project. */
  clocks: ReadonlyMap<string, Clock>;
  /** The wall clock, milliseconds since 1970. */
  nowMs: number;
  /** Largest record accepted, in bytes of its JSON. */
  maxRecordBytes: number;
}

/** Sorts the records of messages into those that may come in and those that may not, with every reason. */
export function judge(messages: readonly Received[], circumstances: Circumstances): Judgement {
  const judgement: Judgement = { accepted: [], refused: [], repeated: [] };
  // The clocks move on within the batch: what comes later may lie further ahead.
  const clocks = new Map([...circumstances.clocks].map(([project, clock]) => [project, { ...clock }]));
  const seen = new Set<string>();
  for (const received of messages) {
    const source = circumstances.sources.get(received.source);
    const nameless = namesOf(received);
    const records = readRecords(received);
    for (const record of records) {
      if (source === undefined) {
        judgement.refused.push(refused(record, [...record.reasons, unknownSource(received.source)]));
      } else if (!isReadable(record)) {
        judgement.refused.push(record);
      } else {
        judgeRecord(record, source, {
          ...circumstances,
          clock: clocks.get(source.project),
          fallbackId: () => nameless(record.position, records.length),
          seen,
          into: judgement,
        });
      }
    }
  }
  return judgement;
}

function unknownSource(name: string): Reason {
  return { path: "", message: `comes from the source "${name}", which is not defined` };
}

function refused(record: FoundRecord, reasons: readonly Reason[]): RefusedRecord {
  const payload = isReadable(record) ? { json: record.asReceived } : record.payload;
  return { ...placeOf(record), payload, reasons };
}

function placeOf({ source, arrivedAt, origin, position }: Place): Place {
  return { source, arrivedAt, origin, position };
}

/** What a record is named by that has no id of its own: by its message's id, or by where that came from. */
function namesOf(received: Received): (position: number, records: number) => string {
  const messageId = messageIdOf(received);
  return (position, records) => {
    if (messageId === undefined) return originText({ origin: received.origin, position });
    return records === 1 ? messageId : `${messageId}/${position}`;
  };
}

interface RecordCircumstances extends Circumstances {
  clock: Clock | undefined;
  fallbackId: () => string;
  /** Keys of the events accepted so far. */
  seen: Set<string>;
  into: Judgement;
}

function judgeRecord(record: ReadRecord, source: Source, circumstances: RecordCircumstances): void {
  const { clock, nowMs, maxRecordBytes, fallbackId, seen, into } = circumstances;
  const { data, envelope, arrivedAt } = record;
  const text = JSON.stringify(data);
  const reasons: Reason[] = [...record.reasons, ...source.check(data)];

  const bytes = byteLength(text, maxRecordBytes);
  if (bytes > maxRecordBytes) {
    reasons.push({ path: "", message: `has ${bytes} bytes, and may have ${maxRecordBytes}` });
  }
  const time = eventTime(record, source, reasons);
  if (time !== undefined) refuseFuture({ time, arrivedAt }, source, { clock, nowMs, reasons });
  const knownAt = time === undefined ? undefined : knownAtOf(record, source, { time, reasons });
  const id = eventId(record, source, { time: time ?? arrivedAt, fallback: fallbackId, reasons });

  if (reasons.length > 0 || time === undefined || knownAt === undefined) {
    into.refused.push(refused(record, reasons));
    return;
  }
  const key = `${record.source} ${id}`;
  if (seen.has(key)) {
    into.repeated.push({ ...placeOf(record), id });
    return;
  }
  seen.add(key);
  into.accepted.push({
    ...placeOf(record),
    id,
    project: source.project,
    time,
    knownAt,
    definition: source.version,
    data,
    text,
    envelope,
  });
  if (clock !== undefined && (clock.newest === undefined || time > clock.newest)) clock.newest = time;
}

/** Measured only where the number of characters leaves it open. */
function byteLength(text: string, limit: number): number {
  return text.length * 3 <= limit ? text.length : new TextEncoder().encode(text).length;
}
