import { assertEquals, assertThrows } from "@std/assert";
import { AppError } from "../errors.ts";
import { silentLogger as log } from "../log.ts";
import { eventually } from "../testing/poll.ts";
import { serveHttp } from "./serve.ts";

Deno.test("serveHttp() finishes the requests that run when it is stopped", async () => {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  const { promise: work, resolve: finish } = Promise.withResolvers<Response>();
  const server = serveHttp({
    fetch() {
      arrive();
      return work;
    },
  }, { port: 0, log });
  const answer = fetch(`http://127.0.0.1:${server.port}/`);
  await arrived;
  const stopped = server.stop();
  finish(new Response("done"));
  assertEquals(await (await answer).text(), "done");
  await Promise.all([stopped, server.stop()]);
});

Deno.test("serveHttp() ends event streams when it is stopped, and idle connections", async () => {
  let cancelled = false;
  const events = () =>
    new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("data: 1\n\n")),
      cancel() {
        cancelled = true;
      },
    });
  const server = serveHttp({
    fetch: (request) =>
      request.url.endsWith("/events")
        ? new Response(events(), { headers: { "content-type": "text/event-stream" } })
        : new Response("plain"),
  }, { port: 0, log });
  const base = `http://127.0.0.1:${server.port}`;
  assertEquals(await (await fetch(`${base}/plain`)).text(), "plain");
  const response = await fetch(`${base}/events`);
  const reader = response.body!.getReader();
  await reader.read();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("The server still waits for the event stream")), 10_000);
  await Promise.race([server.stop(), late]);
  clearTimeout(timer);
  assertEquals((await reader.read()).done, true);
  assertEquals(cancelled, true);
});

Deno.test("serveHttp() names the address when the port is taken", async () => {
  const first = serveHttp({ fetch: () => new Response() }, { port: 0, log });
  assertThrows(
    () => serveHttp({ fetch: () => new Response() }, { port: first.port, log }),
    AppError,
    `Cannot listen on 127.0.0.1:${first.port}: another process listens there`,
  );
  await first.stop();
});

Deno.test("serveHttp() ends an event stream that was asked for before the stop and begins after it", async () => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const server = serveHttp({
    async fetch() {
      ask();
      await gate;
      return new Response(new ReadableStream(), { headers: { "content-type": "text/event-stream" } });
    },
  }, { port: 0, log });
  const text = fetch(`http://127.0.0.1:${server.port}/`).then((response) => response.text());
  await asked;
  let stopped = false;
  const stopping = server.stop().then(() => stopped = true);
  open();
  await eventually(() => stopped);
  await stopping;
  assertEquals(await text, "");
});
