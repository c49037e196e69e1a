/** data-ingestion over HTTP, with patience while it is away or busy. @module */
import type { z } from "zod";
import { AppError, ERROR_STATUS, type ErrorCode, messageOf, unavailable } from "shared/errors.ts";
import { delay } from "shared/delay.ts";
import { HEADER } from "shared/contracts/envelope.ts";
import { problemSchema } from "shared/http/problem.ts";
import { parseWith } from "shared/validation.ts";

export interface IntakeClientOptions {
  /** Such as `http://127.0.0.1:8001`. */
  url: string;
  actor: string;
  /** How long one request may be tried again. Default ten minutes. */
  patienceMs?: number;
  /** Told why there is no answer yet. */
  onWait(reason: string): void;
}

export interface IntakeRequest {
  method: "GET" | "POST" | "PATCH";
  /** With its query. */
  path: string;
  headers?: Readonly<Record<string, string>>;
  /** Made anew for each attempt. */
  body?: () => BodyInit | Promise<BodyInit>;
}

export interface IntakeClient {
  /**
   * @throws {AppError} what the service answered; `invalid` when that does not fit the schema; `unavailable` when it was
   * away for too long
   */
  send<Schema extends z.ZodType>(request: IntakeRequest, reply: Schema): Promise<z.output<Schema>>;
  /** The same, tried once. */
  sendOnce<Schema extends z.ZodType>(request: IntakeRequest, reply: Schema): Promise<z.output<Schema>>;
}

const PATIENCE_MS = 600_000;
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 5_000;
/** What takes longer is given up, and tried again. */
const REQUEST_MS = 300_000;

export function createIntakeClient(options: IntakeClientOptions): IntakeClient {
  const { url, actor, patienceMs = PATIENCE_MS, onWait } = options;
  const sendOnce = async <Schema extends z.ZodType>(request: IntakeRequest, schema: Schema) => {
    const { method, path, headers = {}, body } = request;
    let response: Response;
    let text: string;
    try {
      response = await fetch(new URL(path, url), {
        method,
        headers: { [HEADER.actor]: actor, ...headers },
        signal: AbortSignal.timeout(REQUEST_MS),
        ...(body === undefined ? {} : { body: await body() }),
      });
      text = await response.text();
    } catch (error) {
      if (!isConnectionError(error)) throw error;
      throw unavailable(`Cannot reach data-ingestion at ${url}: ${messageOf(error)}`, { cause: error });
    }
    if (!response.ok) throw errorOf(response, text);
    return parseWith(schema, jsonOf(text), `read data-ingestion's answer to ${method} ${path}`);
  };
  return {
    sendOnce,
    async send(request, schema) {
      const startedAt = performance.now();
      for (let failures = 0;; failures++) {
        try {
          return await sendOnce(request, schema);
        } catch (error) {
          if (!isPassing(error) || performance.now() - startedAt > patienceMs) throw error;
          onWait(error.message);
          await delay(pauseMs(error, failures));
        }
      }
    },
  };
}

/** How long to wait before trying again what failed so many times. */
export function pauseMs(error: AppError, failures: number): number {
  return error.retryAfter === undefined
    ? Math.min(FIRST_RETRY_MS * 2 ** failures, MAX_RETRY_MS)
    : error.retryAfter * 1_000;
}

const PASSING: ReadonlySet<ErrorCode> = new Set(["too_slow", "busy", "unavailable", "timeout"]);

/** Whether trying again may help. */
export function isPassing(error: unknown): error is AppError {
  return error instanceof AppError && PASSING.has(error.code);
}

/** What fetch throws where no answer came, the time limit among it. */
function isConnectionError(error: unknown): boolean {
  return error instanceof TypeError || error instanceof DOMException ||
    error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.Http;
}

/** Undefined where it is none: a proxy may answer in its own words. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function errorOf(response: Response, text: string): AppError {
  const retryAfter = Number(response.headers.get("retry-after") ?? NaN);
  const options = Number.isFinite(retryAfter) ? { retryAfter } : {};
  const problem = problemSchema.safeParse(jsonOf(text));
  const known = Object.entries(ERROR_STATUS).find(([, status]) => status === response.status);
  // A proxy before the service answers in its own words.
  const code = (known?.[0] ?? (response.status >= 500 ? "unavailable" : "invalid")) as ErrorCode;
  if (problem.success) {
    return new AppError(code, problem.data.detail, { ...options, reasons: problem.data.reasons });
  }
  return new AppError(
    code,
    `Cannot reach data-ingestion: it answered with status ${response.status}`,
    options,
  );
}
