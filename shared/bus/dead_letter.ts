/**
 * Dead letters: what could not be handled, moved whole to DEADLETTER with the reasons, for people to look at and
 * for a redrive.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { HEADER } from "../contracts/envelope.ts";
import { subject } from "../contracts/streams.ts";
import { AppError, messageOf, type Reason } from "../errors.ts";
import type { Bus } from "./connection.ts";
import { headerText, type Incoming, messageSize, type Outgoing } from "./message.ts";

/** A single bad event out of a message whose other events are well. */
export interface Aside {
  /** Last token of the dead letter's subject: the source or model. */
  name: string;
  /** Where it would be published to be handled again. */
  subject: string;
  data: Uint8Array;
  headers?: Readonly<Record<string, string>>;
  reasons: readonly Reason[];
  /**
   * Where it stood, such as `EVENTS/12/3`: keeps apart two events with the same bytes. Without it, they are one
   * dead letter.
   */
  origin?: string;
}

/** Headers of a dead letter, besides those that the message came with. */
export const DEADLETTER_HEADER = {
  /** JSON: every reason, `[{ "path": ..., "message": ... }]`. */
  reasons: "Microml-Reasons",
  /** The subject, stream and sequence it came from. */
  subject: "Microml-Subject",
  stream: "Microml-Stream",
  sequence: "Microml-Sequence",
  /** How often it was tried. */
  attempts: "Microml-Attempts",
  messageId: HEADER.firstMessageId,
  /** `true`: the payload is encrypted. */
  sealed: "Microml-Sealed",
  /** Instead of a payload that would not fit beside these headers: its name in the file store. */
  payloadFile: "Microml-Payload-File",
} as const;

const MAX_REASONS_LENGTH = 8_000;
const MAX_REASON_LENGTH = 1_000;

/** The dead letter of a whole message. `sealed`: its data are encrypted. */
export function deadLetterOf(
  service: string,
  message: Incoming,
  failure: { error: unknown; attempts: number; sealed?: boolean },
): Outgoing {
  const { subject: from, stream, sequence } = message;
  return {
    subject: subject.deadletter(service, stream, message.name),
    data: message.data,
    headers: {
      ...ownHeaders(message.headers),
      [DEADLETTER_HEADER.reasons]: reasonsText(reasonsOfFailure(failure.error)),
      [DEADLETTER_HEADER.subject]: from,
      [DEADLETTER_HEADER.stream]: stream,
      [DEADLETTER_HEADER.sequence]: String(sequence),
      [DEADLETTER_HEADER.attempts]: String(failure.attempts),
      [DEADLETTER_HEADER.messageId]: firstNameOf(message),
      ...(failure.sealed === true ? { [DEADLETTER_HEADER.sealed]: "true" } : {}),
    },
    messageId: `${service}:${stream}:${sequence}:${message.receivedAt}`,
  };
}

/** The dead letter of an event that was set aside. */
export function deadLetterOfAside(service: string, stream: string, aside: Aside): Outgoing {
  const identity = createHash("sha256").update(aside.origin ?? "").update("\0").update(aside.data);
  return {
    subject: subject.deadletter(service, stream, aside.name),
    data: aside.data,
    headers: {
      ...ownHeaders(aside.headers ?? {}),
      [DEADLETTER_HEADER.reasons]: reasonsText(aside.reasons),
      [DEADLETTER_HEADER.subject]: aside.subject,
      [DEADLETTER_HEADER.stream]: stream,
      [DEADLETTER_HEADER.attempts]: "1",
    },
    messageId: `${service}:${stream}:${aside.name}:${identity.digest("base64url")}`,
  };
}

/**
 * A message as large as the server takes has no room for more headers: its payload then goes to the file store,
 * because a dead letter that cannot be published would come again for ever.
 */
export async function fitted(bus: Bus, letter: Outgoing): Promise<Outgoing> {
  if (messageSize(letter) <= (bus.nc.info?.max_payload ?? Infinity)) return letter;
  const file = await bus.files.put(letter.data);
  return {
    ...letter,
    data: new Uint8Array(),
    headers: { ...letter.headers, [DEADLETTER_HEADER.payloadFile]: file },
  };
}

/** A message that was redriven and failed again keeps the name it had at first. */
function firstNameOf({ headers, stream, sequence }: Incoming): string {
  return headers[DEADLETTER_HEADER.messageId] ?? headers[HEADER.messageId] ?? `${stream}/${sequence}`;
}

const DEADLETTER_HEADERS = new Set<string>(Object.values(DEADLETTER_HEADER));

/**
 * The headers of a message without those that a dead letter has, and without `Nats-...`, which are orders to the
 * server: to deduplicate, to expire, even to drop what came before.
 */
export function ownHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !/^nats-/i.test(name) && !DEADLETTER_HEADERS.has(name)),
  );
}

function reasonsOfFailure(error: unknown): readonly Reason[] {
  if (error instanceof AppError && error.reasons.length > 0) return error.reasons;
  return [{ path: "", message: messageOf(error) }];
}

/** As many reasons as a header may hold, the first one in any case. */
function reasonsText(reasons: readonly Reason[]): string {
  const kept: string[] = [];
  let length = 0;
  for (const { path, message } of reasons) {
    const reason = headerText(JSON.stringify({ path: clipped(path), message: clipped(message) }));
    length += reason.length;
    if (length > MAX_REASONS_LENGTH && kept.length > 0) break;
    kept.push(reason);
  }
  return `[${kept.join(",")}]`;
}

function clipped(text: string): string {
  return text.length <= MAX_REASON_LENGTH ? text : `${text.slice(0, MAX_REASON_LENGTH - 3)}...`;
}
