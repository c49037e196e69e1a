/**
 * Errors as HTTP answers: RFC 9457 problem details. The one place where an error is rendered.
 *
 * @module
 */
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { AppError, ERROR_STATUS, type ErrorCode, type Reason, unavailable } from "../errors.ts";
import { isInfrastructureError } from "../infrastructure_error.ts";
import type { Logger } from "../log.ts";

/** `method_not_allowed` has a meaning in HTTP only, so it is no code of an {@link AppError}. */
type ProblemCode = ErrorCode | "method_not_allowed";

const TITLE: Readonly<Record<ProblemCode, string>> = {
  invalid: "The request is wrong",
  unauthorized: "Credentials are missing or wrong",
  forbidden: "Not allowed",
  "not_found": "Not found",
  "method_not_allowed": "Method not allowed",
  "too_slow": "The request came too slowly",
  conflict: "In conflict with the present state",
  "too_large": "The request is too large",
  unsupported: "The content type is not supported",
  unprocessable: "The request cannot be carried out",
  busy: "Too busy",
  internal: "Internal error",
  unavailable: "Temporarily unavailable",
  timeout: "A neighbour did not answer in time",
};

/** The body of every answer that is no success. */
export const problemSchema = z.object({
  /** `urn:microml:problem:<code>`. */
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  /** Every mistake found: a JSON pointer into the request, and what is wrong and accepted. */
  reasons: z.array(z.object({ path: z.string(), message: z.string() })),
  /** Names an internal error; the log has its cause under the same name. */
  instance: z.string().optional(),
});
export type Problem = z.infer<typeof problemSchema>;

export const PROBLEM_TYPE = "application/problem+json";

interface ProblemOptions {
  reasons?: readonly Reason[];
  instance?: string;
  headers?: Readonly<Record<string, string>>;
}

export function problemResponse(code: ProblemCode, detail: string, options: ProblemOptions = {}): Response {
  const { reasons = [], instance, headers = {} } = options;
  const status = code === "method_not_allowed" ? 405 : ERROR_STATUS[code];
  const problem: Problem = {
    type: `urn:microml:problem:${code}`,
    title: TITLE[code],
    status,
    detail,
    reasons: [...reasons],
    ...(instance === undefined ? {} : { instance }),
  };
  return new Response(JSON.stringify(problem), {
    status,
    headers: { ...headers, "content-type": PROBLEM_TYPE },
  });
}

/**
 * The answer for anything that was thrown. What is no {@link AppError} tells the caller nothing but a name,
 * under which the log has it all.
 */
export function renderError(error: unknown, log: Logger): Response {
  if (error instanceof AppError) {
    if (error.status >= 500) log.error({ err: error }, error.message);
    const headers = error.retryAfter === undefined
      ? {}
      : { "retry-after": String(Math.max(1, Math.ceil(error.retryAfter))) };
    return problemResponse(error.code, error.message, { reasons: error.reasons, headers });
  }
  const code = error instanceof HTTPException ? codeOfStatus(error.status) : undefined;
  if (error instanceof HTTPException && code !== undefined) return problemResponse(code, error.message);
  if (isInfrastructureError(error)) {
    const detail = "Cannot answer the request: the database or the bus of the service is away";
    return renderError(unavailable(detail, { cause: error }), log);
  }
  const instance = `urn:uuid:${crypto.randomUUID()}`;
  log.error({ err: error, instance }, `Cannot answer a request: ${instance}`);
  return problemResponse("internal", "Cannot answer the request: an internal error occurred", { instance });
}

/** A library's own HTTP error keeps its meaning where it is the caller's fault. */
function codeOfStatus(status: number): ErrorCode | undefined {
  const entry = Object.entries(ERROR_STATUS).find(([, value]) => value === status && value < 500);
  return entry?.[0] as ErrorCode | undefined;
}
