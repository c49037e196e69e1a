import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { run } from "shared/infra/command.ts";
import { removeIfThere } from "shared/infra/folders.ts";
import { readInfraState } from "shared/infra/infra_state.ts";
import { identify, isRunning, type ProcessIdentity } from "shared/infra/process_identity.ts";
import { makeTestFolder } from "shared/infra/test_folder.ts";
import { eventually } from "shared/testing/poll.ts";

const ROOT = new URL("..", import.meta.url).pathname;

/** A demo as a process, with what it printed so far. */
interface RunningDemo extends AsyncDisposable {
  readonly pid: number;
  output(): string;
  interrupt(): void;
  readonly ended: Promise<Deno.CommandStatus>;
}

function startDemo(folder: string): RunningDemo {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "scripts/demo.ts", "--root", folder, "--free-ports"],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let output = "";
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) output += text;
  })();
  const ended = Promise.all([child.status, reading]).then(([status]) => status);
  return {
    pid: child.pid,
    output: () => output,
    interrupt: () => child.kill("SIGINT"),
    ended,
    async [Symbol.asyncDispose]() {
      // Only when the test failed before: what it started ends with it.
      try {
        child.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
      await ended;
    },
  };
}

/** All that the demo runs at the moment: its servers, and what it and its children started. */
async function processesOf(demo: RunningDemo, folder: string): Promise<ProcessIdentity[]> {
  const { stdout } = await run("ps", ["-A", "-o", "pid=,ppid="]);
  const pairs = stdout.trim().split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  const family = new Set([demo.pid]);
  for (let size = 0; size < family.size;) {
    size = family.size;
    for (const [pid, parent] of pairs) if (family.has(parent!)) family.add(pid!);
  }
  const state = await readInfraState(`${folder}/.microml/infra.json`);
  const servers = [state?.nats, state?.postgres].filter((server) => server !== undefined);
  return [...[...family].map(identify).filter((process) => process !== undefined), ...servers];
}

for (
  const { moment, shown, atLeast } of [
    // The servers and the services are about to start.
    { moment: "its start", shown: "1. Start", atLeast: 1 },
    // Nine services, NATS, PostgreSQL and the demo itself.
    { moment: "the replay of the history", shown: "3. Publish the history", atLeast: 12 },
  ]
) {
  Deno.test(`demo leaves no process behind when Ctrl-C ends it during ${moment}`, async () => {
    await using folder = await makeTestFolder();
    await using demo = startDemo(folder.path);
    await eventually(() => assertStringIncludes(demo.output(), shown), { timeoutMs: 60_000 });
    const before = await processesOf(demo, folder.path);
    assert(before.length >= atLeast, `${before.length} processes`);

    demo.interrupt();
    const { code } = await demo.ended;
    assertEquals(code, 130, demo.output());
    assertStringIncludes(demo.output(), "SIGINT: stopping");
    await eventually(() => assertEquals(before.filter(isRunning), []));
    // What a start was about to run ends with the demo, and may write until then.
    await eventually(() => removeIfThere(folder.path), { timeoutMs: 60_000 });
  });
}
