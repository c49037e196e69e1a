/**
 * Messages as the platform's code sees them, independent of the client library.
 *
 * @module
 */
import { errors, headers as createHeaders, type Msg, type MsgHdrs } from "nats";
import { HEADER } from "../contracts/envelope.ts";
import type { Instant } from "../contracts/time.ts";

/** A message to be published on a stream. */
export interface Outgoing {
  subject: string;
  data: Uint8Array;
  headers?: Readonly<Record<string, string>>;
  /** The stream stores a message id once within its deduplication window. */
  messageId: string;
}

/** A message that came by a stream. */
export interface Incoming {
  subject: string;
  /** The last token of the subject: a source, a model, an event's name. */
  name: string;
  stream: string;
  /** Position in the stream, from 1. */
  sequence: number;
  data: Uint8Array;
  /** The first value of each header, under the header's name as it was sent. */
  headers: Readonly<Record<string, string>>;
  /** When the stream took it. */
  receivedAt: Instant;
  /** Whether it was handed out before; to whom, and with what outcome, is unknown. */
  redelivered: boolean;
}

/** The headers of an outgoing message for the client, its message id included. */
export function toHeaders(message: Pick<Outgoing, "headers" | "messageId">): MsgHdrs {
  const result = createHeaders();
  for (const [name, value] of Object.entries(message.headers ?? {})) result.set(name, value);
  result.set(HEADER.messageId, message.messageId);
  return result;
}

const encoder = new TextEncoder();

/** Bytes that count against the server's largest payload: the data and the headers. */
export function messageSize(message: Outgoing): number {
  const all = { ...message.headers, [HEADER.messageId]: message.messageId };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return encoder.encode(`NATS/1.0\r\n${lines.join("")}\r\n`).length + message.data.length;
}

/**
 * The first value of each header. Headers that the client refuses to read count as none: it throws while it reads
 * its socket, and anybody may publish a name with a space in it.
 */
export function headersOf(message: Pick<Msg, "headers">): Record<string, string> {
  const result: Record<string, string> = {};
  let headers: MsgHdrs | undefined;
  try {
    headers = message.headers;
  } catch (error) {
    if (!(error instanceof errors.InvalidArgumentError)) throw error;
  }
  if (headers) { for (const [name, [first = ""]] of headers) result[name] = first; }
  return result;
}

/**
 * A text that may stand in a header: one line of ASCII. What is outside becomes a JSON escape, which JSON text
 * reads back; `maxLength` cuts plain text, with `...` at the end.
 */
export function headerText(text: string, maxLength = Infinity): string {
  const ascii = text.replaceAll(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return ascii.length <= maxLength ? ascii : `${ascii.slice(0, maxLength - 3)}...`;
}
