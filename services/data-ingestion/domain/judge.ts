import type { Instant } from "shared/contracts/time.ts";
import { type Reason, unavailable } from "shared/errors.ts";
import type { Privacy } from "shared/privacy.ts";
import { lowerCaseNames } from "./envelopes.ts";
import { namesOf } from "./event_id.ts";
import { type Clock, eventTime, knownAtOf, refuseFuture, refuseLate } from "./event_time.ts";
import { messageIdOf, readRecords } from "./read_records.ts";
import {
  type Envelope,
  type FoundRecord,
  isReadable,
  originText,
  type Place,
  placeOf,
  type ReadRecord,
  type Received,
} from "./received.ts";
import { refuse, type RefusedRecord } from "./refuse.ts";
import { holdsHash, PROTECTED, protectRecord, SECRETS_HEADER } from "./secrets.ts";
import type { Source } from "./source.ts";

export type { RefusedRecord } from "./refuse.ts";

/** A record that may come in, with everything that names and dates it. */
export interface AcceptedEvent extends Place {
  id: string;
  project: string;
  time: Instant;
  knownAt: Instant;
  definition: number;
  /** Its secrets hashed or dropped. */
  data: Record<string, unknown>;
  /** The data as JSON. */
  text: string;
  /** The entity whose state this is, where the source is of entities. */
  entity?: string;
  envelope: Envelope;
}

/** A record whose id came before, in the same batch or in an earlier message. */
export interface RepeatedEvent extends Place {
  id: string;
}

export interface Judgement {
  /** Records by source and day of arrival, counted before anything was made of them. */
  received: { source: string; day: string; records: number }[];
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
  /** Undefined: nobody has set a key, and no source may have secrets. */
  privacy: Privacy | undefined;
}

/**
 * Sorts the records of messages into those that may come in and those that may not, with every reason.
 *
 * @throws {AppError} `unavailable` when a source has secrets and there is no key: its records have to wait for one
 */
export function judge(messages: readonly Received[], circumstances: Circumstances): Judgement {
  const hearing = new Hearing(circumstances);
  for (const received of messages) hear(hearing, received, circumstances);
  return hearing.judgement();
}

/** As many bytes of messages as are judged in two milliseconds or so. */
const TURN_BYTES = 256 * 1024;

/**
 * As {@link judge}, with a turn for whatever else the process has to do every so often. Only a timer gives one: what
 * comes over sockets, such as the answers of the database that writes the batch ahead, waits for as long as there is
 * an immediate.
 */
export async function judgeInTurns(
  messages: readonly Received[],
  circumstances: Circumstances,
): Promise<Judgement> {
  const hearing = new Hearing(circumstances);
  let bytes = 0;
  for (const received of messages) {
    if (bytes > TURN_BYTES) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      bytes = 0;
    }
    hear(hearing, received, circumstances);
    bytes += received.data.length;
  }
  return hearing.judgement();
}

function hear(hearing: Hearing, received: Received, { sources }: Circumstances): void {
  const records = readRecords(received, sources.get(received.source));
  hearing.count(received, records.length);
  const nameOf = fallbackIds(received, records.length);
  for (const record of records) {
    hearing.judge(record, { headers: received.headers, fallbackId: () => nameOf(record) });
  }
}

/** What a record is named by that has no id of its own: its line, its message's id, or where that came from. */
function fallbackIds(received: Received, records: number): (record: Place) => string {
  const messageId = messageIdOf(received);
  return ({ file, position }) => {
    if (file !== undefined) return `${file.name}:${file.line}`;
    if (messageId === undefined) return originText({ origin: received.origin, position });
    return records === 1 ? messageId : `${messageId}/${position}`;
  };
}

/** What is known of a record besides itself. */
export interface RecordCircumstances {
  /** Of its message. */
  headers: Readonly<Record<string, string>>;
  fallbackId: () => string;
  /** The newest event seen in its project when it arrived. Default: the newest now. */
  newestAtArrival?: Instant | undefined;
}

/** Records are judged one after the other: the clocks move on, and an id is taken by the first that has it. */
export class Hearing {
  readonly #circumstances: Circumstances;
  readonly #clocks: Map<string, Clock>;
  readonly #counts = new Map<string, Judgement["received"][number]>();
  /** Keys of the events accepted so far. */
  readonly #seen = new Set<string>();
  readonly #judged: Omit<Judgement, "received"> = { accepted: [], refused: [], repeated: [] };

  constructor(circumstances: Circumstances) {
    this.#circumstances = circumstances;
    this.#clocks = new Map([...circumstances.clocks].map(([project, clock]) => [project, { ...clock }]));
  }

  /** Counts records as received, on the day of their arrival. */
  count({ source, arrivedAt }: Pick<Place, "source" | "arrivedAt">, records: number): void {
    const day = arrivedAt.slice(0, "2011-05-02".length);
    const key = `${source} ${day}`;
    const counted = this.#counts.get(key);
    if (counted === undefined) this.#counts.set(key, { source, day, records });
    else counted.records += records;
  }

  /** @returns the record with its reasons, when it may not come in */
  judge(record: FoundRecord, about: RecordCircumstances): RefusedRecord | undefined {
    const source = this.#circumstances.sources.get(record.source);
    const reasons = [...record.reasons];
    if (source === undefined) {
      reasons.push({ path: "", message: `comes from the source "${record.source}", which is not defined` });
    } else if (isReadable(record)) {
      const event = this.#accept(record, { source, about, reasons });
      if (event !== undefined) {
        this.#take(event);
        return undefined;
      }
    }
    const refused = refuse(record, reasons, {
      source,
      headers: about.headers,
      fallbackId: about.fallbackId(),
      clock: this.#newestAtArrival(source, about),
      privacy: source === undefined ? undefined : this.#privacyOf(source),
    });
    this.#judged.refused.push(refused);
    return refused;
  }

  judgement(): Judgement {
    return { received: [...this.#counts.values()], ...this.#judged };
  }

  /** @param options.reasons to add to; with one in it, the record is no event */
  #accept(
    record: ReadRecord,
    { source, about, reasons }: { source: Source; about: RecordCircumstances; reasons: Reason[] },
  ): AcceptedEvent | undefined {
    const { nowMs, maxRecordBytes } = this.#circumstances;
    const { arrivedAt, envelope } = record;
    const { data, isProtected } = this.#protect(record, source, about);
    reasons.push(...(isProtected ? source.checkProtected : source.check)(record.data));

    const text = JSON.stringify(data);
    const bytes = byteLength(text, maxRecordBytes);
    if (bytes > maxRecordBytes) {
      reasons.push({ path: "", message: `has ${bytes} bytes, and may have ${maxRecordBytes}` });
    }
    const time = eventTime(record, source, reasons);
    if (time !== undefined) {
      const clock = this.#clocks.get(source.project);
      refuseFuture({ time, arrivedAt }, source, { clock, nowMs, reasons });
      const atArrival = clock && { ...clock, newest: this.#newestAtArrival(source, about) };
      refuseLate({ time, arrivedAt }, source, { clock: atArrival, reasons });
    }
    const knownAt = time === undefined ? undefined : knownAtOf(record, source, { time, reasons });
    const names = namesOf(record, source, {
      kept: data,
      time: time ?? arrivedAt,
      fallback: about.fallbackId,
      reasons,
    });
    if (reasons.length > 0 || time === undefined || knownAt === undefined) return undefined;
    const { project, version: definition } = source;
    return { ...placeOf(record), ...names, project, time, knownAt, definition, data, text, envelope };
  }

  #protect(
    { data }: ReadRecord,
    source: Source,
    { headers }: RecordCircumstances,
  ): { data: Record<string, unknown>; isProtected: boolean } {
    const privacy = this.#privacyOf(source);
    if (privacy === undefined) return { data, isProtected: false };
    const isProtected = lowerCaseNames(headers)[SECRETS_HEADER.toLowerCase()] === PROTECTED ||
      holdsHash(source, data);
    return { data: protectRecord(source, data, privacy), isProtected };
  }

  /** Undefined: the source has no secrets. */
  #privacyOf({ name, secrets }: Source): Privacy | undefined {
    if (secrets.length === 0) return undefined;
    const { privacy } = this.#circumstances;
    if (privacy === undefined) {
      throw unavailable(`Cannot judge records of "${name}": it has secrets, and SECRETS_KEY is not set`);
    }
    return privacy;
  }

  #take(event: AcceptedEvent): void {
    const key = `${event.source} ${event.id}`;
    if (this.#seen.has(key)) {
      this.#judged.repeated.push({ ...placeOf(event), id: event.id });
      return;
    }
    this.#seen.add(key);
    this.#judged.accepted.push(event);
    const clock = this.#clocks.get(event.project);
    if (clock !== undefined && (clock.newest === undefined || event.time > clock.newest)) {
      clock.newest = event.time;
    }
  }

  #newestAtArrival(
    source: Source | undefined,
    { newestAtArrival }: RecordCircumstances,
  ): Instant | undefined {
    const clock = source && this.#clocks.get(source.project);
    return clock?.kind === "event" ? newestAtArrival ?? clock.newest : undefined;
  }
}

/** Measured only where the number of characters leaves it open. */
function byteLength(text: string, limit: number): number {
  return text.length * 3 <= limit ? text.length : new TextEncoder().encode(text).length;
}
