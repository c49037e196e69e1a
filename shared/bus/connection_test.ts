import { assert, assertEquals, assertRejects } from "@std/assert";
import { freePort } from "../infra/ports.ts";
import { startNats } from "../infra/nats_process.ts";
import { findNatsServer } from "../infra/nats_server.ts";
import { startThrowawayNats } from "../infra/throwaway.ts";
import { createLogger, silentLogger } from "../log.ts";
import { eventually } from "../testing/poll.ts";
import { connectBus } from "./connection.ts";

function readableLog() {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(String(JSON.parse(line).message));
  return { log: createLogger("test", { destination: { write } }), lines };
}

Deno.test("connectBus() waits for NATS, says so, and says when it is there", async () => {
  const port = freePort();
  const { log, lines } = readableLog();
  const connecting = connectBus({ url: `nats://127.0.0.1:${port}`, name: "test", log });
  await eventually(() => lines.length === 1);
  const home = await Deno.makeTempDir();
  await using _server = await startNats({ binary: await findNatsServer(), home, port, removeHome: true });
  await using bus = await connecting;
  assertEquals(lines, ["Waiting for NATS", "NATS answers"]);
  assert((await bus.jsm.getAccountInfo()).streams >= 0);
});

Deno.test("connectBus() stops waiting when it is told to", async () => {
  const abort = new AbortController();
  const url = `nats://127.0.0.1:${freePort()}`;
  const { log, lines } = readableLog();
  const connecting = connectBus({ url, name: "test", log, signal: abort.signal });
  const rejected = assertRejects(() => connecting, Error, "enough");
  await eventually(() => lines.length === 1);
  abort.abort(new Error("enough"));
  await rejected;
});

Deno.test("connectBus() refuses a URL that is none", async () => {
  for (const url of ["", "nats://", "nats://a b"]) {
    await assertRejects(
      () => connectBus({ url, name: "test", log: silentLogger }),
      TypeError,
      "Cannot connect to NATS",
    );
  }
});

Deno.test("connectBus() tells of an outage and calls back after each reconnect", async () => {
  await using server = await startThrowawayNats();
  const { log, lines } = readableLog();
  await using bus = await connectBus({ url: server.url, name: "test", log });
  let [first, second] = [0, 0];
  const ignore = bus.onReconnect(() => void first++);
  bus.onReconnect(() => void second++);
  for (const count of [1, 2]) {
    await server.kill();
    await server.restart();
    await eventually(() => second === count);
    ignore();
  }
  assertEquals([first, second], [1, 2]);
  assertEquals(new Set(lines), new Set(["NATS is away: reconnecting", "NATS is back"]));
});

Deno.test("connectBus() gives a bus that can be disposed of while NATS is away", async () => {
  await using server = await startThrowawayNats();
  const { log, lines } = readableLog();
  const bus = await connectBus({ url: server.url, name: "test", log });
  await server.kill();
  await bus[Symbol.asyncDispose]();
  assert(bus.nc.isClosed());
  assert(!lines.includes("The connection to NATS is closed for good"));
});
