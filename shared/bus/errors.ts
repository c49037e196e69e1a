/**
 * An {@link AppError} on its way over the bus: NATS's own headers for service errors, and a JSON body with
 * what they cannot hold.
 *
 * @module
 */
import { ServiceErrorCodeHeader, ServiceErrorHeader } from "@nats-io/services";
import type { Msg } from "nats";
import { z } from "zod";
import { AppError, ERROR_STATUS, type ErrorCode, type Reason } from "../errors.ts";
import { headerText } from "./message.ts";

const codes = Object.keys(ERROR_STATUS) as [ErrorCode, ...ErrorCode[]];

const errorBodySchema = z.object({
  code: z.enum(codes),
  message: z.string(),
  reasons: z.array(z.object({ path: z.string(), message: z.string() })),
  retryAfter: z.number().optional(),
});

/** What an error becomes in a reply. */
export interface ErrorReply {
  status: number;
  description: string;
  body: string;
}

/** Characters of all reasons and of the message that a body holds, so that the reply always fits. */
const MAX_REASONS_LENGTH = 100_000;
const MAX_MESSAGE_LENGTH = 10_000;
const MAX_HEADER_LENGTH = 1_000;

export function encodeError(error: AppError): ErrorReply {
  const body: z.infer<typeof errorBodySchema> = {
    code: error.code,
    message: error.message.slice(0, MAX_MESSAGE_LENGTH),
    reasons: reasonsThatFit(error.reasons),
    ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
  };
  return {
    status: error.status,
    description: headerText(error.message, MAX_HEADER_LENGTH),
    body: JSON.stringify(body),
  };
}

function reasonsThatFit(reasons: readonly Reason[]): Reason[] {
  let length = 0;
  const beyond = reasons.findIndex(({ path, message }) =>
    (length += path.length + message.length) > MAX_REASONS_LENGTH
  );
  return reasons.slice(0, beyond === -1 ? reasons.length : beyond);
}

/** The error that a reply carries; `undefined` when it carries none. */
export function decodeError(reply: Msg): AppError | undefined {
  const status = reply.headers?.get(ServiceErrorCodeHeader);
  if (!status) return undefined;
  const body = errorBodySchema.safeParse(jsonOrNothing(reply));
  if (body.success) {
    const { code, message, reasons, retryAfter } = body.data;
    return new AppError(code, message, { reasons, ...(retryAfter === undefined ? {} : { retryAfter }) });
  }
  // Not one of ours: another NATS service, or the framework itself.
  const description = reply.headers?.get(ServiceErrorHeader) || `the service answered with error ${status}`;
  return new AppError(codeOfStatus(Number(status)), description);
}

function codeOfStatus(status: number): ErrorCode {
  return codes.find((code) => ERROR_STATUS[code] === status) ?? "internal";
}

function jsonOrNothing(reply: Msg): unknown {
  try {
    return reply.json();
  } catch {
    return undefined;
  }
}
