/**
 * Looking at the dead letters of a service.
 *
 * @module
 */
import { z } from "zod";
import type { DeadLetter } from "../contracts/dead_letters.ts";
import type { Reason } from "../errors.ts";
import { AppError } from "../errors.ts";
import type { Bus } from "./connection.ts";
import { DEADLETTER_HEADER } from "./dead_letter.ts";
import { lettersFrom, lettersOf, payloadOf, startOfLast, type StoredLetter } from "./dead_letter_store.ts";

const MAX_PAYLOAD_LENGTH = 2_000;
/** A page must fit into one NATS message, whatever its letters say. */
const MAX_PAGE_LENGTH = 256 * 1024;

export interface DeadLetterPage {
  deadLetters: DeadLetter[];
  next: string | null;
}

/**
 * The dead letters of a service, newest first.
 *
 * @param options.after the `next` of the page before
 */
export async function listDeadLetters(
  bus: Bus,
  service: string,
  options: { name?: string | undefined; limit: number; after?: string | undefined },
): Promise<DeadLetterPage> {
  const { name, limit, after } = options;
  const filter = lettersOf(service, name);
  const end = after === undefined ? Number.MAX_SAFE_INTEGER : Number(after);
  // One more than is shown, which tells whether there is a next page.
  const start = await startOfLast(bus, filter, { count: limit + 1, end });
  const found: DeadLetter[] = [];
  for await (const letter of lettersFrom(bus, filter, start)) {
    if (letter.number >= end) break;
    found.push(await describe(bus, letter));
    if (found.length > limit + 1) found.shift();
  }
  const page = found.reverse().slice(0, Math.min(limit, countWithin(found, MAX_PAGE_LENGTH)));
  return { deadLetters: page, next: found.length > page.length ? String(page.at(-1)!.number) : null };
}

/** How many of them fit into a page: one in any case. */
function countWithin(letters: readonly DeadLetter[], maxLength: number): number {
  let length = 0;
  const beyond = letters.findIndex((letter) => (length += JSON.stringify(letter).length) > maxLength);
  return beyond === -1 ? letters.length : Math.max(1, beyond);
}

async function describe(bus: Bus, letter: StoredLetter): Promise<DeadLetter> {
  const { number, name, at, headers, subject } = letter;
  const sequence = headers[DEADLETTER_HEADER.sequence];
  const payload = await readPayload(bus, letter);
  const sealed = headers[DEADLETTER_HEADER.sealed] === "true";
  return {
    number,
    name,
    stream: headers[DEADLETTER_HEADER.stream] ?? subject.split(".")[2] ?? "",
    sequence: sequence === undefined ? null : Number(sequence),
    attempts: Number(headers[DEADLETTER_HEADER.attempts] ?? 1),
    at,
    reasons: reasonsOf(headers[DEADLETTER_HEADER.reasons]),
    payload: sealed || payload === undefined ? null : textOf(payload),
    bytes: payload?.length ?? 0,
  };
}

/** `undefined` when its file is lost: the letter is shown all the same. */
async function readPayload(bus: Bus, letter: StoredLetter): Promise<Uint8Array | undefined> {
  try {
    return await payloadOf(bus, letter);
  } catch (error) {
    if (error instanceof AppError && error.code === "not_found") return undefined;
    throw error;
  }
}

const decoder = new TextDecoder();

/** A cut may go through a character: what is left of it is replaced, as bytes are that are no UTF-8. */
function textOf(payload: Uint8Array): string {
  return decoder.decode(payload.subarray(0, 4 * MAX_PAYLOAD_LENGTH)).slice(0, MAX_PAYLOAD_LENGTH)
    .toWellFormed();
}

const reasonsSchema = z.array(z.object({ path: z.string(), message: z.string() }));

function reasonsOf(header: string | undefined): Reason[] {
  return reasonsSchema.parse(JSON.parse(header ?? "[]"));
}
