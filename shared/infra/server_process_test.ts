import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { eventually } from "shared/testing/poll.ts";
import { join } from "node:path";
import { identify, isRunning } from "./process_identity.ts";
import { logTail, startServer } from "./server_process.ts";
import { makeTestFolder } from "./test_folder.ts";

Deno.test("startServer() runs the program in a session of its own, with its output in the log", async () => {
  await using folder = await makeTestFolder();
  const program = await folder.program("server", 'echo "started with $1"; exec sleep 600');
  const logFile = join(folder.path, "log");
  const server = await startServer([program, "an argument"], { logFile, stopSignal: "SIGTERM" });
  await eventually(async () => assertEquals(await logTail(logFile), "started with an argument"));
  assertNotEquals(await sessionOf(server.pid), await sessionOf(Deno.pid));
  assert(server.isAlive());
  await server.stop();
  assert(!server.isAlive());
  await server.stop();
});

Deno.test("stop() kills a server that ignores its stop signal, when the patience is over", async () => {
  await using folder = await makeTestFolder();
  const program = await folder.program("server", 'trap "" TERM; echo ready; while :; do sleep 0.01; done');
  const logFile = join(folder.path, "log");
  const server = await startServer([program], { logFile, stopSignal: "SIGTERM" });
  await eventually(async () => assertEquals(await logTail(logFile), "ready"));
  await server.stop({ patienceMs: 50 });
  assert(!server.isAlive());
});

Deno.test("startServer() stops the server and removes its folder when the launcher is killed", async () => {
  await using folder = await makeTestFolder();
  const home = join(folder.path, "home");
  await Deno.mkdir(home);
  const program = await folder.program(
    "server",
    `trap 'echo stopped >"${folder.path}/stopped"; exit' TERM; while :; do sleep 0.01; done`,
  );
  const launcher = new Deno.Command(Deno.execPath(), {
    args: ["eval", launchAndWait(program, home)],
    stdout: "piped",
  }).spawn();
  const [pid] = await firstLine(launcher.stdout);
  const server = identify(Number(pid));
  assert(server !== undefined);
  launcher.kill("SIGKILL");
  await launcher.status;
  await eventually(() => !isRunning(server));
  await eventually(async () =>
    assertEquals(await Deno.readTextFile(join(folder.path, "stopped")), "stopped\n")
  );
  await eventually(async () => {
    const left = (await Array.fromAsync(Deno.readDir(folder.path))).map(({ name }) => name);
    assertEquals(left.includes("home"), false);
  });
});

Deno.test("logTail() gives the last lines from an offset on", async () => {
  await using folder = await makeTestFolder();
  const file = join(folder.path, "log");
  await Deno.writeTextFile(file, "old\none\ntwo\nthree\n");
  assertEquals(await logTail(file, 4, 2), "two\nthree");
  assertEquals(await logTail(file, 4), "one\ntwo\nthree");
});

Deno.test("identify() tells a process from another, and knows none for a pid that is free", async () => {
  const self = identify(Deno.pid);
  assert(self !== undefined && isRunning(self));
  assert(!isRunning({ ...self, birth: `${self.birth}0` }));
  const child = new Deno.Command("true").spawn();
  await child.status;
  assertEquals(identify(child.pid), undefined);
  assertMatch(self.birth, /\d/);
});

/** A launcher that starts the program, prints its pid, and lives on. */
function launchAndWait(program: string, home: string): string {
  return `
    const { startServer } = await import(${JSON.stringify(import.meta.resolve("./server_process.ts"))});
    const server = await startServer([${JSON.stringify(program)}], {
      logFile: "/dev/null",
      stopSignal: "SIGTERM",
      removeFolder: ${JSON.stringify(home)},
    });
    console.log(server.pid);
    setInterval(() => {}, 1000);`;
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string[]> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes("\n")) break;
  }
  return text.split("\n");
}

async function sessionOf(pid: number): Promise<string> {
  const output = await new Deno.Command("ps", { args: ["-o", "sess=", "-p", String(pid)] }).output();
  return new TextDecoder().decode(output.stdout).trim();
}
