/**
 * Sending the dead letters of a service through again.
 *
 * @module
 */
import { STREAMS } from "../contracts/streams.ts";
import { invalid, messageOf, notFound, tooLarge } from "../errors.ts";
import { isInfrastructureError } from "../infrastructure_error.ts";
import type { Bus } from "./connection.ts";
import { DEADLETTER_HEADER, ownHeaders } from "./dead_letter.ts";
import {
  getLetter,
  lettersFrom,
  lettersOf,
  payloadOf,
  removeLetter,
  type StoredLetter,
} from "./dead_letter_store.ts";
import { messageSize, type Outgoing } from "./message.ts";
import { publishAll } from "./publisher.ts";
import { isTakenBy } from "./subjects.ts";

export interface RedriveOptions {
  /** These; else those of `name`; else all. */
  numbers?: readonly number[] | undefined;
  name?: string | undefined;
  /** Opens a payload that is sealed. Without it, sealed letters can't be redriven. */
  open?: ((payload: Uint8Array) => Uint8Array) | undefined;
}

export interface Redriven {
  redriven: number;
  /** The first of those that could not be; they stay. */
  failed: { number: number; reason: string }[];
  /** The call has done as much as one may, and there are others. */
  more: boolean;
}

/** What one call does at most, so that it is answered in time. */
const MAX_LETTERS = 1_000;
const MAX_BYTES = 32 * 1024 * 1024;
const MAX_FAILURES = 100;
/** What is published, then removed, at a time. */
const PIECE_LETTERS = 100;
const PIECE_BYTES = 4 * 1024 * 1024;

/** A letter, made ready to go back to where it came from. */
interface Return {
  number: number;
  message: Outgoing;
}

/**
 * Publishes letters where they came from, oldest first, and removes them. What dies between the two publishes them
 * again under the same message ids, which the stream knows for its deduplication window, and event ids, which whoever
 * stores them knows for good.
 */
export async function redriveDeadLetters(
  bus: Bus,
  service: string,
  options: RedriveOptions = {},
): Promise<Redriven> {
  const outcome: Redriven = { redriven: 0, failed: [], more: false };
  const fail = (number: number, reason: string) => {
    if (outcome.failed.length < MAX_FAILURES) outcome.failed.push({ number, reason });
  };
  let bytes = 0;
  let piece: Return[] = [];
  let pieceBytes = 0;
  const settle = async () => {
    await publishAll(bus, piece.map(({ message }) => message));
    await Promise.all(piece.map(({ number }) => removeLetter(bus, number)));
    outcome.redriven += piece.length;
    piece = [];
    pieceBytes = 0;
  };

  for await (const found of wantedLetters(bus, service, options)) {
    if (outcome.redriven + piece.length === MAX_LETTERS || bytes > MAX_BYTES) {
      outcome.more = true;
      break;
    }
    if ("missing" in found) {
      fail(found.missing, `${service} has no such dead letter`);
      continue;
    }
    try {
      const message = await toReturn(bus, found, options.open);
      piece.push({ number: found.number, message });
      bytes += message.data.length;
      pieceBytes += message.data.length;
    } catch (error) {
      if (isInfrastructureError(error)) throw error;
      // It must not keep the others from going.
      fail(found.number, messageOf(error));
    }
    if (piece.length === PIECE_LETTERS || pieceBytes > PIECE_BYTES) await settle();
  }
  await settle();
  return outcome;
}

async function* wantedLetters(
  bus: Bus,
  service: string,
  { numbers, name }: RedriveOptions,
): AsyncGenerator<StoredLetter | { missing: number }> {
  if (numbers === undefined) return yield* lettersFrom(bus, lettersOf(service, name), 1);
  const own = lettersOf(service, undefined);
  for (const number of new Set(numbers)) {
    const letter = await getLetter(bus, number);
    yield letter !== undefined && isTakenBy(own, letter.subject) ? letter : { missing: number };
  }
}

async function toReturn(bus: Bus, letter: StoredLetter, open: RedriveOptions["open"]): Promise<Outgoing> {
  const { number, headers, at, name } = letter;
  const message: Outgoing = {
    subject: originOf(letter),
    data: opened(await payloadOf(bus, letter), letter, open),
    headers: {
      ...ownHeaders(headers),
      ...pick(headers, DEADLETTER_HEADER.messageId),
    },
    messageId: `${name}:redriven:${number}:${at}`,
  };
  const size = messageSize(message);
  const maxPayload = bus.nc.info?.max_payload ?? Infinity;
  if (size <= maxPayload) return message;
  throw tooLarge(
    `Cannot redrive the dead letter ${number}: with its headers it has ${size} bytes, ` +
      `and the server takes at most ${maxPayload}`,
  );
}

/** A subject that no stream takes would be waited for in vain. */
function originOf({ number, headers }: StoredLetter): string {
  const origin = headers[DEADLETTER_HEADER.subject];
  if (origin === undefined) {
    throw invalid(`Cannot redrive the dead letter ${number}: it does not say where it came from`);
  }
  if (STREAMS.some(({ subjects }) => subjects.some((filter) => isTakenBy(filter, origin)))) return origin;
  throw notFound(`Cannot redrive the dead letter ${number}: no stream takes the subject ${origin}`);
}

function opened(
  payload: Uint8Array,
  { number, headers }: StoredLetter,
  open: RedriveOptions["open"],
): Uint8Array {
  if (headers[DEADLETTER_HEADER.sealed] !== "true") return payload;
  if (open !== undefined) return open(payload);
  throw invalid(`Cannot redrive the dead letter ${number}: it is sealed, and there is no key to open it`);
}

function pick(headers: Readonly<Record<string, string>>, name: string): Record<string, string> {
  return headers[name] === undefined ? {} : { [name]: headers[name] };
}
