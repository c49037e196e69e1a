/**
 * Endpoints of the contracts as a NATS micro service (`nats micro ls` shows it), and the call of one.
 *
 * @module
 */
import { type ServiceMsg, Svcm } from "@nats-io/services";
import { type BoundEndpoint, type CallContext, type Endpoint, replyText } from "../contracts/endpoint.ts";
import { HEADER, traceparentOf } from "../contracts/envelope.ts";
import { delay } from "../delay.ts";
import { AppError, busy, invalid, messageOf, tooLarge, unavailable } from "../errors.ts";
import { isInfrastructureError } from "../infrastructure_error.ts";
import type { Logger } from "../log.ts";
import { otherInAddress, parseWith } from "../validation.ts";
import { type Bus, flushWithin } from "./connection.ts";
import { encodeError } from "./errors.ts";

export { call, type CallOptions } from "./call.ts";

export interface ServeOptions {
  /** Name of the micro service, and of the queue group that its copies share. */
  service: string;
  version: string;
  endpoints: readonly BoundEndpoint[];
  /** More data for `nats micro stats`. */
  stats?: () => Promise<Record<string, unknown>>;
  log: Logger;
  /** Requests that are answered at the same time; what comes beyond is refused as `busy`. Default 1,000. */
  maxInFlight?: number;
}

const DEFAULT_MAX_IN_FLIGHT = 1_000;
const FLUSH_TIMEOUT_MS = 2_000;
const READY_LOOK_MS = 20;

/** What the framework does not count for handlers that are asynchronous. */
interface EndpointCounts {
  errors: number;
  processingMs: number;
}

/**
 * Answers the endpoints until it is disposed of, each from when it is ready; what is being answered then is finished
 * first.
 *
 * What a handler throws goes back as an error: an {@link AppError} as it is, anything else as an opaque
 * `internal` one, with the cause in the log.
 */
export async function serveEndpoints(bus: Bus, options: ServeOptions): Promise<AsyncDisposable> {
  const { service: name, version, endpoints, stats, log } = options;
  const { maxInFlight = DEFAULT_MAX_IN_FLIGHT } = options;
  const counts = new Map<string, EndpointCounts>();
  const inFlight = new Set<Promise<void>>();

  // The package pins an older core, whose connection type is another one than ours; at run time it only
  // subscribes, publishes and asks for the state of the connection.
  const service = await new Svcm(bus.nc as unknown as ConstructorParameters<typeof Svcm>[0]).add({
    name,
    version,
    queue: name,
    statsHandler: async ({ subject }) => ({ ...counts.get(subject), ...await stats?.() }),
  });
  const offer = (bound: BoundEndpoint) => {
    const { spec, subject } = bound.endpoint;
    const count = { errors: 0, processingMs: 0 };
    const pattern = subject.replaceAll(/\{\w+\}/g, "*");
    counts.set(pattern, count);
    service.addEndpoint(spec.verb, {
      subject: pattern,
      metadata: { summary: spec.summary },
      handler: (_error, message) => {
        if (inFlight.size >= maxInFlight) {
          count.errors++;
          const error = busy(`Cannot answer ${subject}: ${maxInFlight} requests are being answered`);
          bound.refused?.(parametersOf(bound.endpoint, message), error, contextOf(bus, message));
          respondError(message, error);
          return;
        }
        const answering = answer(bus, bound, message, { count, log });
        inFlight.add(answering);
        void answering.finally(() => inFlight.delete(answering));
      },
    });
  };
  /** @returns those that are not ready yet */
  const offerReady = (list: readonly BoundEndpoint[]) => {
    const { ready = [], waiting = [] } = Object.groupBy(
      list,
      ({ isReady }) => isReady?.() === false ? "waiting" : "ready",
    );
    ready.forEach(offer);
    return waiting;
  };
  const ending = new AbortController();
  const offerLater = async (waiting: readonly BoundEndpoint[]) => {
    while (waiting.length > 0) {
      await delay(READY_LOOK_MS, ending.signal);
      if (ending.signal.aborted || bus.nc.isClosed()) return;
      waiting = offerReady(waiting);
    }
  };
  const offering = offerLater(offerReady(endpoints));
  // The server knows the subscriptions from here on: who waited for this may call at once.
  await flushWithin(bus.nc, FLUSH_TIMEOUT_MS, log);
  return {
    async [Symbol.asyncDispose]() {
      ending.abort();
      await offering;
      await service.stop();
      await Promise.all(inFlight);
    },
  };
}

/** Never rejects: whatever happens becomes the answer. */
async function answer(
  bus: Bus,
  { endpoint, handler, refused }: BoundEndpoint,
  message: ServiceMsg,
  { count, log }: { count: EndpointCounts; log: Logger },
): Promise<void> {
  const startedAt = performance.now();
  try {
    const action = `answer ${endpoint.subject}`;
    const context = contextOf(bus, message);
    const parameters = parametersOf(endpoint, message);
    let request: unknown = parameters;
    try {
      request = withParameters(readJson(message, action), parameters, action);
      request = parseWith(endpoint.spec.request, request, action);
    } catch (error) {
      refused?.(request, error, context);
      throw error;
    }
    const reply = replyText(await handler(request, context));
    refuseTooLarge(bus, reply, action);
    message.respond(reply);
  } catch (error) {
    count.errors++;
    tryToRespondError(message, knownError(error, endpoint, log), log);
  } finally {
    count.processingMs += performance.now() - startedAt;
  }
}

function readJson(message: ServiceMsg, action: string): unknown {
  // `nats req` and the like send nothing for a request without fields.
  if (message.data.length === 0) return {};
  try {
    return message.json();
  } catch {
    throw invalid(`Cannot ${action}: the request must be JSON`);
  }
}

/** What the subject says of the request. */
function parametersOf({ subject }: Endpoint, message: ServiceMsg): Record<string, string> {
  if (!subject.includes("{")) return {};
  const tokens = message.subject.split(".");
  return Object.fromEntries(
    subject.split(".").flatMap((token, index) =>
      token.startsWith("{") ? [[token.slice(1, -1), tokens[index]!]] : []
    ),
  );
}

function withParameters(request: unknown, parameters: Record<string, string>, action: string): unknown {
  if (typeof request !== "object" || request === null || Array.isArray(request)) return request;
  const fields = request as Record<string, unknown>;
  for (const [name, said] of Object.entries(parameters)) {
    const given = fields[name];
    if (given !== undefined && given !== said) {
      throw otherInAddress(action, { name, given, said, where: "subject" });
    }
  }
  return { ...fields, ...parameters };
}

function contextOf(bus: Bus, { headers }: ServiceMsg): CallContext {
  const maxReplyBytes = bus.nc.info?.max_payload;
  return {
    ...(maxReplyBytes === undefined ? {} : { maxReplyBytes }),
    actor: headers?.get(HEADER.actor) || "anonymous",
    idempotencyKey: headers?.get(HEADER.idempotencyKey) || undefined,
    traceparent: traceparentOf(headers?.get(HEADER.traceparent)),
  };
}

const encoder = new TextEncoder();

function refuseTooLarge(bus: Bus, reply: string, action: string): void {
  const maxPayload = bus.nc.info?.max_payload ?? Infinity;
  // A character has at most three bytes in UTF-8: most replies need no measuring.
  if (reply.length * 3 <= maxPayload) return;
  const size = encoder.encode(reply).length;
  if (size <= maxPayload) return;
  throw tooLarge(
    `Cannot ${action}: the reply has ${size} bytes, and the server takes at most ${maxPayload}; ask for less`,
  );
}

function knownError(error: unknown, { subject }: Endpoint, log: Logger): AppError {
  if (error instanceof AppError) {
    if (error.status >= 500) log.error({ err: error, subject }, error.message);
    return error;
  }
  if (isInfrastructureError(error)) {
    log.warn({ err: error, subject }, `Cannot answer ${subject}: ${messageOf(error)}`);
    return unavailable(`Cannot answer ${subject}: its database or the bus is away`, { cause: error });
  }
  const instance = `urn:uuid:${crypto.randomUUID()}`;
  log.error({ err: error, subject, instance }, `Cannot answer a request: ${instance}`);
  return new AppError("internal", `Cannot answer ${subject}: an internal error occurred, ${instance}`);
}

function respondError(message: ServiceMsg, error: AppError): void {
  const { status, description, body } = encodeError(error);
  message.respondError(status, description, body);
}

function tryToRespondError(message: ServiceMsg, error: AppError, log: Logger): void {
  try {
    respondError(message, error);
  } catch (cause) {
    // The connection is closed: the caller finds out by its time limit.
    log.warn({ err: cause }, `Cannot send an error reply: ${messageOf(cause)}`);
  }
}
