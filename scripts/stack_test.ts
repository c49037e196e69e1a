import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { freePort, isPortTaken } from "shared/infra/ports.ts";
import { processBirth } from "shared/infra/process_identity.ts";
import { eventually } from "shared/testing/poll.ts";
import { refuseTakenPort } from "./service_process.ts";
import { type Stack, startStack } from "./stack.ts";

/** A root of the test's own, which the account that runs PostgreSQL can enter. */
async function makeRoot(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "microml-stack-" });
  await Deno.chmod(path, 0o755);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

const isReady = async (url: string) => {
  const response = await fetch(`${url}/readyz`);
  await response.body?.cancel();
  return response.ok;
};

function pidsOf(stack: Stack): number[] {
  return [
    stack.infra.nats.pid,
    stack.infra.postgres.pid,
    ...[...stack.services.values()].map(({ pid }) => pid!),
  ];
}

Deno.test("startStack() runs services side by side with others, kills, restarts and stops them", async () => {
  await using root = await makeRoot();
  const said: string[] = [];
  const stack = await startStack({
    root: root.path,
    ports: "free",
    services: ["console", "alert"],
    say: (line) => said.push(line),
    restart: true,
  });
  await using _stop = stack;
  assertEquals([...stack.services.keys()], ["alert", "console"]);
  const alert = stack.services.get("alert")!;
  assertEquals(await isReady(alert.url), true);
  assertEquals(await isReady(stack.services.get("console")!.url), true);
  assertEquals(said.some((line) => line.startsWith("Migrated alert: 000001_")), true);

  const memory = await stack.memory();
  assertEquals(memory.map(({ name }) => name), ["NATS", "PostgreSQL", "alert", "console", "launcher"]);
  for (const { name, bytes } of memory) assertEquals(bytes > 4 * 2 ** 20, true, `${name}: ${bytes}`);

  await stack.kill("alert");
  assertEquals(alert.pid, undefined);
  await stack.restart("alert");
  assertEquals(await isReady(alert.url), true);

  const pid = alert.pid!;
  Deno.kill(pid, "SIGKILL");
  await eventually(() => alert.pid !== undefined && alert.pid !== pid);
  await eventually(() => isReady(alert.url));
  assertMatch(
    said.at(-1)!,
    /^alert ended by SIGKILL; it is started again in 0.5 s\. Its log .+ ends:\n.*info Started/s,
  );

  const pids = pidsOf(stack);
  await stack.stop();
  assertEquals(pids.map(processBirth), pids.map(() => undefined));
  assertEquals(isPortTaken(alert.port), false);
});

Deno.test("startStack() tells why a service can't start, and leaves nothing behind", async () => {
  await using root = await makeRoot();
  const error = await assertRejects(
    () => startStack({ root: root.path, ports: "free", services: ["console"], env: { LOG_LEVEL: "loud" } }),
    Error,
    "Cannot start console: it ended with code 1; its log ",
  );
  assertMatch(
    error.message,
    /\n {2}Cannot start console: 1 setting is wrong\n {4}LOG_LEVEL is "loud": must be one of/,
  );
  assertEquals(
    await Array.fromAsync(Deno.readDir(`${root.path}/.microml`), ({ name }) => name === "infra.json")
      .then((found) => found.includes(true)),
    false,
  );
});

Deno.test("startStack() refuses a service that is not in the table", async () => {
  await assertRejects(
    () => startStack({ services: ["billing"] }),
    TypeError,
    'There is no service "billing": there are data-ingestion, ',
  );
});

Deno.test("refuseTakenPort() names the port and who holds it", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const error = await assertRejects(() => refuseTakenPort("alert", port), Error);
  assertMatch(
    error.message,
    new RegExp(`^Cannot start alert: port ${port} on 127.0.0.1 is taken by process ${Deno.pid} `),
  );
  listener.close();
  await refuseTakenPort("alert", freePort());
});

Deno.test("startStack() leaves no process behind when its launcher is killed", async () => {
  await using root = await makeRoot();
  const program = `
    import { startStack } from "./scripts/stack.ts";
    const stack = await startStack({ root: ${
    JSON.stringify(root.path)
  }, ports: "free", services: ["console"] });
    const pids = [stack.infra.nats.pid, stack.infra.postgres.pid, stack.services.get("console").pid];
    Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(pids)));
    await new Promise(() => setInterval(() => {}, 1000));`;
  const launcher = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", program],
    cwd: import.meta.dirname + "/..",
    stdout: "piped",
  }).spawn();
  const reader = launcher.stdout.getReader();
  const { value } = await reader.read();
  const pids: number[] = JSON.parse(new TextDecoder().decode(value));
  assertEquals(pids.map((pid) => processBirth(pid) !== undefined), [true, true, true]);
  launcher.kill("SIGKILL");
  await launcher.status;
  await eventually(() => pids.every((pid) => processBirth(pid) === undefined));
  await reader.cancel();
});
