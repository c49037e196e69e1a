/**
 * Errors of the NATS client: which of them mean that waiting helps, and what stands for them as an AppError.
 *
 * @module
 */
import { JetStreamApiError } from "@nats-io/jetstream";
import { jserrors } from "@nats-io/jetstream/internal";
import { errors } from "nats";

const AWAY_ERRORS = [
  errors.ClosedConnectionError,
  errors.ConnectionError,
  errors.DrainingConnectionError,
  errors.NoRespondersError,
  errors.RequestError,
  errors.TimeoutError,
  // What the client says when no JetStream answers, which is so while a server starts or elects a leader.
  jserrors.JetStreamNotEnabled,
] as const;

/** JetStream's number for a stream that is full; an HTTP-like status says the rest. */
export const STREAM_STORE_FAILED = 10_077;

/**
 * Whether NATS did not answer, or cannot at the moment, rather than refuse: waiting and trying again is right.
 * A stream or durable that is missing counts: consumers make it again.
 */
export function isBusAway(error: unknown): boolean {
  if (AWAY_ERRORS.some((kind) => error instanceof kind)) return true;
  if (error instanceof JetStreamApiError) {
    return error.status >= 500 || isMissing(error);
  }
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? error.code : undefined;
  if (typeof code === "string" && SOCKET_CODES.has(code)) return true;
  return error.cause !== undefined && isBusAway(error.cause);
}

/** What the socket says before NATS could say anything. */
const SOCKET_CODES: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

/** Whether JetStream says that a stream or a durable is not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof jserrors.StreamNotFoundError || error instanceof jserrors.ConsumerNotFoundError;
}
