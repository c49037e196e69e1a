/**
 * Calling an endpoint of another service over the bus.
 *
 * @module
 */
import { errors, headers as createHeaders, type Msg, type MsgHdrs } from "nats";
import type { z } from "zod";
import type { Endpoint } from "../contracts/endpoint.ts";
import { HEADER } from "../contracts/envelope.ts";
import { AppError, invalid, messageOf, tooLarge, unavailable } from "../errors.ts";
import { isBusAway } from "./bus_errors.ts";
import type { Bus } from "./connection.ts";
import { decodeError } from "./errors.ts";

export interface CallOptions {
  /** Default 5 s. */
  timeoutMs?: number;
  actor?: string;
  /** A mutation called again with the same key answers the same and does nothing. */
  idempotencyKey?: string;
  traceparent?: string;
}

const DEFAULT_TIMEOUT_MS = 5_000;

const encoder = new TextEncoder();

/**
 * Asks one of the copies of the service that answers the endpoint.
 *
 * @throws {AppError} the error that the service answered; `unavailable` when nobody answers the endpoint or NATS
 * is away; `timeout` when no answer came in time, and nothing is known of what was done
 */
export async function call<E extends Endpoint>(
  bus: Bus,
  endpoint: E,
  request: z.input<E["spec"]["request"]>,
  options: CallOptions = {},
): Promise<z.output<E["spec"]["reply"]>> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const { subject } = endpoint;
  const data = encoder.encode(JSON.stringify(request));
  const maxPayload = bus.nc.info?.max_payload ?? Infinity;
  if (data.length > maxPayload) {
    throw tooLarge(
      `Cannot call ${subject}: the request has ${data.length} bytes, and the server takes at most ${maxPayload}`,
    );
  }
  const headers = headersOf(subject, options);
  let reply: Msg;
  try {
    reply = await bus.nc.request(subject, data, { timeout: timeoutMs, headers });
  } catch (error) {
    throw callError(subject, timeoutMs, error);
  }
  const failure = decodeError(reply);
  if (failure) throw failure;
  return reply.json();
}

function headersOf(subject: string, { actor, idempotencyKey, traceparent }: CallOptions): MsgHdrs {
  const headers = createHeaders();
  const entries = {
    [HEADER.actor]: actor,
    [HEADER.idempotencyKey]: idempotencyKey,
    [HEADER.traceparent]: traceparent,
  };
  for (const [name, value] of Object.entries(entries)) {
    if (value === undefined) continue;
    if (/[\r\n]/.test(value)) throw invalid(`Cannot call ${subject}: the ${name} must be one line`);
    headers.set(name, value);
  }
  return headers;
}

function callError(subject: string, timeoutMs: number, error: unknown): unknown {
  if (error instanceof errors.TimeoutError) {
    return new AppError("timeout", `Cannot call ${subject}: no answer within ${timeoutMs / 1_000} s`, {
      cause: error,
    });
  }
  if (
    error instanceof errors.NoRespondersError ||
    (error instanceof errors.RequestError && error.isNoResponders())
  ) {
    return unavailable(`Cannot call ${subject}: no service answers it`, { cause: error });
  }
  if (isBusAway(error)) {
    return unavailable(`Cannot call ${subject}: ${messageOf(error)}`, { cause: error });
  }
  return error;
}
