/** Calling endpoints of the platform from outside: over HTTP, or over NATS. @module */
import type { z } from "zod";
import type { Bus } from "../bus/connection.ts";
import { call } from "../bus/call.ts";
import type { Endpoint } from "../contracts/endpoint.ts";
import { HEADER } from "../contracts/envelope.ts";
import { AppError, ERROR_STATUS, type ErrorCode, type Reason, unavailable } from "../errors.ts";

export interface TransportOptions {
  /** Default 10 s. */
  timeoutMs?: number;
  /** Who asks. */
  actor?: string;
}

/** @throws {AppError} what the service answered; `unavailable` or `timeout` when it did not */
export type Call = <E extends Endpoint>(
  endpoint: E,
  request: z.input<E["spec"]["request"]>,
) => Promise<z.output<E["spec"]["reply"]>>;

const DEFAULT_TIMEOUT_MS = 10_000;

/** Calls over HTTP; `urlOf` gives the address of a service. */
export function callOverHttp(urlOf: (service: string) => string, options: TransportOptions = {}): Call {
  return async (endpoint, request) => {
    const { spec } = endpoint;
    if (spec.http === undefined) throw new TypeError(`The endpoint ${endpoint.subject} has no HTTP route`);
    const fields: Record<string, unknown> = { ...request };
    const path = spec.http.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      const value = String(fields[name]);
      delete fields[name];
      return encodeURIComponent(value);
    });
    const takesBody = spec.http.method === "post" || spec.http.method === "put";
    const query = takesBody ? "" : `?${new URLSearchParams(fields as Record<string, string>)}`;
    return await fetchJson(`${urlOf(spec.service)}${path}${query}`, {
      method: spec.http.method.toUpperCase(),
      ...(takesBody ? { body: JSON.stringify(fields) } : {}),
    }, options) as never;
  };
}

export const callOverNats = (bus: () => Promise<Bus>, options: TransportOptions = {}): Call =>
async (
  endpoint,
  request,
) =>
  await call(await bus(), endpoint, request, {
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    ...(options.actor === undefined ? {} : { actor: options.actor }),
  });

/** One request with a JSON body, if any, and a JSON answer. @throws {AppError} as {@link Call} */
export async function fetchJson(
  url: string,
  init: { method: string; body?: string; headers?: Record<string, string> },
  { timeoutMs = DEFAULT_TIMEOUT_MS, actor }: TransportOptions,
): Promise<unknown> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      ...init,
      headers: {
        ...(init.body === undefined ? {} : { "content-type": "application/json" }),
        ...(actor === undefined ? {} : { [HEADER.actor]: actor }),
        ...init.headers,
      },
      signal: AbortSignal.timeout(timeoutMs),
    });
    text = await response.text();
  } catch (error) {
    if (error instanceof DOMException && error.name === "TimeoutError") {
      throw new AppError("timeout", `Cannot call ${url}: no answer within ${timeoutMs / 1_000} s`, {
        cause: error,
      });
    }
    throw unavailable(`Cannot call ${url}: nobody answers there`, { cause: error });
  }
  if (!response.ok) throw problemOf(url, response, text);
  return JSON.parse(text);
}

/** The error that the answer stands for. */
function problemOf(url: string, response: Response, text: string): AppError {
  const problem = parseProblem(text);
  const code = problem?.type?.replace(/^urn:microml:problem:/, "");
  const retryAfter = Number(response.headers.get("retry-after"));
  return new AppError(
    isErrorCode(code) ? code : codeOfStatus(response.status),
    problem?.detail ?? `Cannot call ${url}: the answer is ${response.status}`,
    { reasons: problem?.reasons ?? [], ...(retryAfter > 0 ? { retryAfter } : {}) },
  );
}

interface ProblemText {
  type?: string;
  detail?: string;
  reasons?: Reason[];
}

function parseProblem(text: string): ProblemText | undefined {
  try {
    return JSON.parse(text) as ProblemText;
  } catch {
    return undefined;
  }
}

const isErrorCode = (code: string | undefined): code is ErrorCode =>
  code !== undefined && code in ERROR_STATUS;

/** Of an answer that is not the platform's own, such as a proxy's. */
function codeOfStatus(status: number): ErrorCode {
  const known = Object.entries(ERROR_STATUS).find(([, value]) => value === status);
  return known?.[0] as ErrorCode | undefined ?? (status < 500 ? "invalid" : "unavailable");
}
