/**
 * The one error type that crosses service boundaries.
 *
 * Domain code throws an {@link AppError}; the bus carries it as headers and a JSON body
 * (shared/bus/errors.ts); the HTTP edge renders it once as RFC 9457 problem+json (shared/http/problem.ts).
 * Anything else that is thrown becomes an opaque `internal` error at the edge.
 *
 * @module
 */

/** What kind of failure it is, and the HTTP status that stands for it. */
export const ERROR_STATUS = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  too_slow: 408,
  conflict: 409,
  too_large: 413,
  unsupported: 415,
  unprocessable: 422,
  busy: 429,
  internal: 500,
  unavailable: 503,
  timeout: 504,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

/** One mistake in the input: where it is (a path such as `/rows/3/price`), and what is wrong and accepted. */
export interface Reason {
  path: string;
  message: string;
}

export interface AppErrorOptions extends ErrorOptions {
  /** Every mistake found, not only the first. */
  reasons?: readonly Reason[];
  /** Seconds after which trying again makes sense; for `busy` and `unavailable`. */
  retryAfter?: number;
}

export class AppError extends Error {
  readonly code: ErrorCode;
  readonly reasons: readonly Reason[];
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options);
    this.name = "AppError";
    this.code = code;
    this.reasons = options.reasons ?? [];
    this.retryAfter = options.retryAfter;
  }

  get status(): number {
    return ERROR_STATUS[this.code];
  }
}

export const invalid = (message: string, reasons: readonly Reason[] = []): AppError =>
  new AppError("invalid", message, { reasons });

export const notFound = (message: string): AppError => new AppError("not_found", message);

export const conflict = (message: string, reasons: readonly Reason[] = []): AppError =>
  new AppError("conflict", message, { reasons });

export const tooLarge = (message: string): AppError => new AppError("too_large", message);

export const busy = (message: string, retryAfter = 1): AppError =>
  new AppError("busy", message, { retryAfter });

/** A neighbour (bus, database, another service) does not answer: waiting and trying again is right. */
export const unavailable = (
  message: string,
  options: ErrorOptions & { retryAfter?: number } = {},
): AppError => new AppError("unavailable", message, { retryAfter: 1, ...options });

/** The message of anything thrown, for logs and dead letters. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
