/**
 * One delivery of a stream's message to a pull consumer: what its reply subject says (NATS's ADR-15), and the
 * answers to it. The client library keeps its own reader of these for its own iterators.
 *
 * @module
 */
import type { Msg } from "nats";
import { toInstant } from "../contracts/time.ts";
import { headersOf, type Incoming } from "./message.ts";

export interface Delivery {
  readonly incoming: Incoming;
  /** Done: it does not come again. */
  acknowledge(): void;
  /** Not done: it comes again at once, to whoever asks. */
  giveBack(): void;
  /** Still being worked on: the wait for the acknowledgement starts anew. */
  speakFor(): void;
}

/** `undefined` when the message is no delivery of a stream. */
export function toDelivery(message: Msg): Delivery | undefined {
  const tokens = message.reply?.split(".") ?? [];
  if (tokens[0] !== "$JS" || tokens[1] !== "ACK" || tokens.length < SHORT_FORM) return undefined;
  // The long form has the domain and the account in front, and a random token at the end.
  const [stream, , delivered, sequence, , nanoseconds] = tokens.slice(tokens.length === SHORT_FORM ? 2 : 4);
  const { subject, data } = message;
  return {
    incoming: {
      subject,
      name: subject.slice(subject.lastIndexOf(".") + 1),
      stream: stream!,
      sequence: Number(sequence),
      data,
      headers: headersOf(message),
      // Nanoseconds are beyond what a number holds exactly: the last six digits go first.
      receivedAt: toInstant(Number(nanoseconds!.slice(0, -6))),
      redelivered: Number(delivered) > 1,
    },
    acknowledge: () => void message.respond("+ACK"),
    giveBack: () => void message.respond("-NAK"),
    speakFor: () => void message.respond("+WPI"),
  };
}

/** `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<nanoseconds>.<pending>` */
const SHORT_FORM = 9;
