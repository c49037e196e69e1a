import type { Context } from "hono";
import { HEADER } from "shared/contracts/envelope.ts";
import { callContext } from "shared/http/request.ts";

/** What a call without an actor is said to be by: nothing to keep with every event. */
const ANONYMOUS = "anonymous";

/** What of a request's headers belongs to its events, whatever their form. */
export function messageHeaders(c: Context): Record<string, string> {
  const { actor, traceparent } = callContext(c.req.raw.headers);
  return {
    ...(actor === ANONYMOUS ? {} : { [HEADER.actor]: actor }),
    ...(traceparent === undefined ? {} : { [HEADER.traceparent]: traceparent }),
  };
}

/** Those of a binary CloudEvent besides, and the content type. */
export function eventHeaders(c: Context): Record<string, string> {
  const headers = messageHeaders(c);
  const contentType = c.req.header("content-type");
  if (contentType !== undefined) headers[HEADER.contentType] = contentType;
  for (const [name, value] of c.req.raw.headers) {
    if (name.startsWith("ce-")) headers[name] = value;
  }
  return headers;
}
