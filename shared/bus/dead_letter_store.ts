/**
 * Finding the dead letters of a service in DEADLETTER, which all services share.
 *
 * @module
 */
import {
  AckPolicy,
  DeliverPolicy,
  JetStreamApiError,
  type MsgRequest,
  type StoredMsg,
} from "@nats-io/jetstream";
import { nanos } from "nats";
import { STREAM, subject } from "../contracts/streams.ts";
import { toInstant } from "../contracts/time.ts";
import { invalid } from "../errors.ts";
import type { Bus } from "./connection.ts";
import { DEADLETTER_HEADER } from "./dead_letter.ts";
import { headersOf } from "./message.ts";

/** A dead letter as it stands in the stream. */
export interface StoredLetter {
  /** Its sequence in DEADLETTER. */
  number: number;
  subject: string;
  /** The source or model. */
  name: string;
  at: string;
  headers: Readonly<Record<string, string>>;
  data: Uint8Array;
}

const { name: STREAM_NAME } = STREAM.deadletter;

/**
 * The subjects of a service's letters, of one source or model or of all.
 *
 * @throws {AppError} `invalid` when the name is no token of a subject
 */
export function lettersOf(service: string, name: string | undefined): string {
  if (name !== undefined && !/^[^\s.*>]+$/.test(name)) {
    throw invalid(`Cannot look for dead letters of "${name}": a name has no spaces, dots, "*" or ">"`);
  }
  return subject.deadletter(service, "*", name ?? "*");
}

/** The letter with this number; `undefined` when there is none. */
export async function getLetter(bus: Bus, number: number): Promise<StoredLetter | undefined> {
  const message = await bus.jsm.streams.getMessage(STREAM_NAME, { seq: number });
  return message === null ? undefined : toLetter(message);
}

/** The letters from a number on, oldest first, up to those that were there when it was called. */
export async function* lettersFrom(bus: Bus, filter: string, first: number): AsyncGenerator<StoredLetter> {
  const { state } = await bus.jsm.streams.info(STREAM_NAME);
  for (let seq = Math.max(first, state.first_seq); seq <= state.last_seq;) {
    // The client's type leaves out that the server takes both: the next of the subject from there on.
    const query = { seq, next_by_subj: filter } as MsgRequest;
    const message = await bus.jsm.streams.getMessage(STREAM_NAME, query);
    if (message === null || message.seq > state.last_seq) return;
    yield toLetter(message);
    seq = message.seq + 1;
  }
}

/**
 * Where to start reading so as to meet the last `count` letters before `end`.
 *
 * The server reads a stream forward only. But it counts what a consumer has before it, without delivering any of it:
 * so the place is found by halving.
 */
export async function startOfLast(
  bus: Bus,
  filter: string,
  { count, end }: { count: number; end: number },
): Promise<number> {
  const { state } = await bus.jsm.streams.info(STREAM_NAME);
  const behind = end > state.last_seq ? 0 : await countFrom(bus, filter, end);
  const hasEnough = async (from: number) => await countFrom(bus, filter, from) - behind >= count;

  let tooLate = Math.min(end, state.last_seq + 1);
  let step = count;
  let early = tooLate - step;
  while (early > state.first_seq && !await hasEnough(early)) {
    tooLate = early;
    step *= 2;
    early -= step;
  }
  if (early <= state.first_seq) early = state.first_seq;
  // Exactness would only save the reading of a few letters.
  while (tooLate - early > 2 * count) {
    const middle = early + ((tooLate - early) >> 1);
    if (await hasEnough(middle)) early = middle;
    else tooLate = middle;
  }
  return early;
}

async function countFrom(bus: Bus, filter: string, first: number): Promise<number> {
  const { consumers } = bus.jsm;
  const { name, num_pending } = await consumers.add(STREAM_NAME, {
    filter_subject: filter,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: first,
    ack_policy: AckPolicy.None,
    mem_storage: true,
    inactive_threshold: nanos(5_000),
  });
  await consumers.delete(STREAM_NAME, name);
  return num_pending;
}

/** Takes a letter out of the stream; one that is gone already is as well. */
export async function removeLetter(bus: Bus, number: number): Promise<void> {
  try {
    await bus.jsm.streams.deleteMessage(STREAM_NAME, number, false);
  } catch (error) {
    // The server has one code for all that can go wrong with a deletion.
    if (!(error instanceof JetStreamApiError) || await getLetter(bus, number) !== undefined) throw error;
  }
}

function toLetter(message: StoredMsg): StoredLetter {
  return {
    number: message.seq,
    subject: message.subject,
    name: message.subject.slice(message.subject.lastIndexOf(".") + 1),
    at: toInstant(Date.parse(message.timestamp)),
    headers: headersOf({ headers: message.header }),
    data: message.data,
  };
}

/**
 * The payload of a letter, from the file store where it had no room beside the headers.
 *
 * @throws {AppError} `not_found` when its file is gone
 */
export async function payloadOf(bus: Bus, { headers, data }: StoredLetter): Promise<Uint8Array> {
  const file = headers[DEADLETTER_HEADER.payloadFile];
  return file === undefined ? data : await bus.files.get(file);
}
