/**
 * Listening for HTTP requests, and ending that without losing one.
 *
 * @module
 */
import { AppError } from "../errors.ts";
import type { Logger } from "../log.ts";

export interface ServeHttpOptions {
  /** Default: loopback. */
  host?: string;
  /** 0 takes any free port. */
  port: number;
  /** Whether other processes may listen on the same port, if they say so too (SO_REUSEPORT). Default false. */
  shared?: boolean;
  log: Logger;
}

export interface HttpServer {
  readonly port: number;
  /** Stops accepting, ends event streams, waits for the other requests. Can be called again. */
  stop(): Promise<void>;
}

/**
 * Serves an app.
 *
 * @throws {AppError} `unavailable` when the port is taken
 */
export function serveHttp(
  app: { fetch(request: Request): Response | Promise<Response> },
  { host = "127.0.0.1", port, shared = false, log }: ServeHttpOptions,
): HttpServer {
  const eventStreams = new Set<AbortController>();
  const server = listen();
  let stopped: Promise<void> | undefined;
  return {
    port: server.addr.port,
    stop() {
      stopped ??= server.shutdown();
      for (const stream of eventStreams) stream.abort();
      return stopped;
    },
  };

  function listen(): Deno.HttpServer<Deno.NetAddr> {
    try {
      return Deno.serve({
        hostname: host,
        port,
        reusePort: shared,
        onListen: ({ hostname, port }) => log.info(`Listening on http://${hostname}:${port}`),
        onError(error) {
          log.error({ err: error }, "Cannot answer a request");
          return new Response(null, { status: 500 });
        },
      }, async (request) => endable(await app.fetch(request)));
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      throw new AppError("unavailable", `Cannot listen on ${host}:${port}: another process listens there`);
    }
  }

  /** An event stream has no end of its own: without one given to it, the server could never finish. */
  function endable(response: Response): Response {
    // The type first: to look at the body of an answer makes a stream of it, which costs more than all the rest.
    if (!response.headers.get("content-type")?.startsWith("text/event-stream") || response.body === null) {
      return response;
    }
    const ending = new AbortController();
    eventStreams.add(ending);
    const body = untilAborted(response.body, ending.signal, () => eventStreams.delete(ending));
    // One that was asked for before the stop may be answered after it.
    if (stopped !== undefined) ending.abort();
    return new Response(body, response);
  }
}

function untilAborted(
  source: ReadableStream<Uint8Array>,
  signal: AbortSignal,
  onEnd: () => void,
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  let ended = false;
  const end = () => {
    if (ended) return false;
    ended = true;
    onEnd();
    return true;
  };
  return new ReadableStream({
    start(controller) {
      signal.addEventListener("abort", () => {
        if (!end()) return;
        controller.close();
        // Its source is told; what that makes of it changes nothing for the client.
        reader.cancel().catch(() => undefined);
      });
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (ended) return;
        if (!done) return controller.enqueue(value);
        end();
        controller.close();
      } catch (error) {
        if (end()) controller.error(error);
      }
    },
    cancel(reason) {
      end();
      return reader.cancel(reason);
    },
  });
}
