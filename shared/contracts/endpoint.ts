/**
 * A request/reply endpoint, declared once and served twice: as a NATS micro service endpoint on
 * `<service>.v1.<verb>` and as an HTTP route. The handler is the same function.
 *
 * @module
 */
import { z } from "zod";
import { closed } from "./closed.ts";

export type HttpMethod = "get" | "post" | "put" | "delete";

export interface EndpointSpec {
  /** The folder name of the service, first token of the subject. */
  service: string;
  /** Last token of the subject: lower case with dashes. */
  verb: string;
  /**
   * Path parameters (`/v1/models/{model}`) are fields of the request. The other fields come from the query
   * (`get`, `delete`; strings are coerced by the schema) or from the JSON body (`post`, `put`).
   * Absent where HTTP needs a route of its own (streams, uploads, content negotiation).
   */
  http?: { method: HttpMethod; path: string; status?: 200 | 201 | 202 };
  /**
   * Another NATS subject than `<service>.v1.<verb>`, whose parameters (`serving.predict.{model}`) are fields of the
   * request.
   */
  subject?: string;
  summary: string;
  /** Closed by {@link endpoint}: a field that it does not know is refused by name. */
  request: z.ZodObject;
  reply: z.ZodType;
  /** A mutation takes an idempotency key and an actor, and answers the same to the same key. */
  mutation?: boolean;
}

export interface Endpoint<Spec extends EndpointSpec = EndpointSpec> {
  readonly spec: Spec;
  readonly subject: string;
}

export type RequestOf<E> = E extends Endpoint<infer Spec> ? z.infer<Spec["request"]> : never;
export type ReplyOf<E> = E extends Endpoint<infer Spec> ? z.input<Spec["reply"]> : never;

/** Declares an endpoint; its NATS subject follows from service and verb, unless it says another. */
export function endpoint<const Spec extends EndpointSpec>(spec: Spec): Endpoint<Spec> {
  return {
    spec: { ...spec, request: closed(spec.request) },
    subject: spec.subject ?? `${spec.service}.v1.${spec.verb}`,
  };
}

/** What a handler knows of the call besides the request. */
export interface CallContext {
  /** Who asks; `anonymous` when the caller did not say. */
  actor: string;
  /** Present when the caller wants the same answer to a repeated call. */
  idempotencyKey: string | undefined;
  /** W3C trace context, when the caller sent one. */
  traceparent: string | undefined;
  /** The largest answer that can be sent, in bytes; absent: any can. */
  maxReplyBytes?: number;
}

export type Handler<E extends Endpoint> = (
  request: RequestOf<E>,
  context: CallContext,
) => Promise<ReplyOf<E>>;

/** A reply that is JSON already, of handlers that write it faster than `JSON.stringify` does. */
export class JsonText {
  constructor(readonly text: string) {}
}

/** A reply as it goes to the caller. */
export const replyText = (reply: unknown): string =>
  reply instanceof JsonText ? reply.text : JSON.stringify(reply ?? null);

/** An endpoint with the function that answers it. */
export interface BoundEndpoint {
  endpoint: Endpoint;
  // deno-lint-ignore no-explicit-any -- a list of endpoints of different types has no common request type
  handler: (request: any, context: CallContext) => Promise<unknown>;
  /**
   * Whether this copy can answer by now: until then it does not offer the endpoint over NATS, where another copy may be
   * asked. Default: from the start.
   */
  isReady?: () => boolean;
  /** Told of a request that could not be read as the contract says, before its caller is. `request` is what there was of it. */
  refused?: (request: unknown, error: unknown, context: CallContext) => void;
}

/** Ties a handler to its endpoint, checking the types of both. */
export function bind<E extends Endpoint>(
  endpoint: E,
  handler: (request: RequestOf<E>, context: CallContext) => Promise<ReplyOf<E> | JsonText>,
): BoundEndpoint {
  return { endpoint, handler };
}
