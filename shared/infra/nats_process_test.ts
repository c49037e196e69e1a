import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import { startNats } from "./nats_process.ts";
import { findNatsServer } from "./nats_server.ts";
import { startThrowawayNats } from "./throwaway.ts";
import { makeTestFolder } from "./test_folder.ts";

Deno.test("restart() brings a killed server back on its ports, with what JetStream had acknowledged", async () => {
  await using nats = await startThrowawayNats();
  const { url, monitorUrl } = nats;
  await withConnection(url, async (connection) => {
    await (await jetstreamManager(connection)).streams.add({ name: "KEPT", subjects: ["kept"] });
    await jetstream(connection).publish("kept", "one");
  });
  await nats.kill();
  assert(!nats.isAlive());
  await assertRejects(() => connect({ servers: url, timeout: 200 }));
  await nats.restart();
  assertEquals([nats.url, nats.monitorUrl], [url, monitorUrl]);
  await withConnection(url, async (connection) => {
    const info = await (await jetstreamManager(connection)).streams.info("KEPT");
    assertEquals(info.state.messages, 1);
    assertEquals(info.config.storage, "file");
  });
});

Deno.test("stop() removes a throwaway server's folder", async () => {
  const nats = await startThrowawayNats();
  const home = join(nats.logFile, "..");
  assert((await Deno.stat(home)).isDirectory);
  await nats.stop();
  await assertRejects(() => Deno.stat(home), Deno.errors.NotFound);
  await nats.stop();
});

Deno.test("startNats() names the port that is taken and who holds it", async () => {
  await using nats = await startThrowawayNats();
  await using folder = await makeTestFolder();
  const binary = await findNatsServer();
  for (const port of [{ port: nats.port }, { monitorPort: nats.monitorPort }]) {
    const home = join(folder.path, "home");
    const error = await assertRejects(() => startNats({ binary, home, removeHome: true, ...port }), Error);
    const [number] = Object.values(port);
    assertMatch(
      error.message,
      new RegExp(
        `^Cannot start nats-server: port ${number} on 127.0.0.1 is taken by process ${nats.pid} \\(.*nats`,
      ),
    );
    await assertRejects(() => Deno.stat(home), Deno.errors.NotFound);
  }
});

Deno.test("startNats() shows the end of the log of a server that does not start", async () => {
  await using folder = await makeTestFolder();
  const binary = await folder.program("nats-server", 'echo "first line"; echo "no such option" >&2; exit 1');
  const error = await assertRejects(() => startNats({ binary, home: join(folder.path, "home") }), Error);
  assertMatch(
    error.message,
    /^Cannot start nats-server: it ended at once; its log .*:\nfirst line\nno such option$/,
  );
});

async function withConnection(
  url: string,
  work: (connection: Awaited<ReturnType<typeof connect>>) => Promise<void>,
): Promise<void> {
  const connection = await connect({ servers: url });
  try {
    await work(connection);
  } finally {
    await connection.close();
  }
}
