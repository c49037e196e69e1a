/**
 * One service as a process: in a session of its own (a Ctrl-C meant for its launcher does not reach it), with just
 * its permissions and settings, its output in a log file.
 *
 * It ends with its launcher, whatever ends that one: its standard input is a pipe from the launcher, and it stops
 * in good order when that is closed (`STOP_WITH_STDIN`, shared/service.ts).
 *
 * @module
 */
import { join } from "node:path";
import { describePortHolder, isPortTaken } from "shared/infra/ports.ts";
import { readableTail } from "./log_tail.ts";
import { type Environment, type PermissionOptions, permissionsOf, ROOT } from "./permissions.ts";
import type { ServiceRow } from "./services.ts";

export interface ServiceProcessOptions extends PermissionOptions {
  /** Its settings: all of them, since nothing of the launcher's environment is handed on but where Deno's cache is. */
  env: Environment;
  /** Its output is appended here. */
  logFile: string;
  /** Keep the heap small at the cost of processor time, as fits a laptop that runs them all. Default true. */
  smallHeap?: boolean;
}

export interface ServiceProcess {
  readonly pid: number;
  /** Resolves when it has ended. */
  readonly ended: Promise<Deno.CommandStatus>;
  isAlive(): boolean;
  kill(signal: Deno.Signal): void;
}

/** What Deno itself needs to find its cache and its packages. */
const RUNTIME_VARIABLES = ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "TMPDIR"];

/**
 * glibc keeps a heap a thread and gives little back: one heap, what is free at its end goes back early, and what is
 * large is mapped by itself, so that it goes back at once.
 */
const ALLOCATOR = {
  MALLOC_ARENA_MAX: "1",
  MALLOC_TRIM_THRESHOLD_: "131072",
  MALLOC_MMAP_THRESHOLD_: "131072",
};

/**
 * A busy process keeps several nurseries' worth of what is garbage already: of at most 1 MiB in place of 16, with a heap
 * that grows by a tenth before it is collected again, and with code that is chosen for its size, the nine services stay
 * within what a laptop spares. The last one is for ONNX Runtime (shared/onnx/runtime_code.ts).
 */
const V8_FLAGS =
  "--max-semi-space-size=1,--heap-growing-percent=10,--optimize-for-size,--wasm-tiering-budget=2000000000";

/** The command line of a service's process. */
export async function commandOf(
  row: ServiceRow,
  options: Pick<ServiceProcessOptions, "env" | "ports" | "smallHeap">,
  flags: readonly string[] = [],
): Promise<[string, ...string[]]> {
  return [
    Deno.execPath(),
    "run",
    // What is missing is an error that can be read, not a question to nobody or a download at some later time.
    "--no-prompt",
    "--cached-only",
    ...(options.smallHeap === false ? await heapOfContainer(row) : [`--v8-flags=${V8_FLAGS}`]),
    ...flags,
    ...await permissionsOf(row, options.env, options),
    join(ROOT, "services", row.name, "main.ts"),
  ];
}

/** What a service says of its heap where it runs alone: the flags of its `start` task, which its container runs. */
async function heapOfContainer({ name }: ServiceRow): Promise<string[]> {
  const file = JSON.parse(await Deno.readTextFile(join(ROOT, "services", name, "deno.json")));
  const { start } = (file as { tasks: { start: string } }).tasks;
  return start.split(" ").filter((word) => word.startsWith("--v8-flags="));
}

/** The launcher's variables that a service's process is given besides its settings. */
export function runtimeEnvironment({ smallHeap = true } = {}): Record<string, string> {
  const own = RUNTIME_VARIABLES.map((name) => [name, Deno.env.get(name)]).filter(([, value]) =>
    value !== undefined
  );
  return { ...(smallHeap ? ALLOCATOR : {}), ...Object.fromEntries(own) };
}

/** Starts it and returns at once; {@link waitUntilReady} waits for it. */
export async function spawnService(row: ServiceRow, options: ServiceProcessOptions): Promise<ServiceProcess> {
  const command = await commandOf(row, options);
  const child = new Deno.Command("sh", {
    // `exec`: the shell becomes the service, so that the pid is the service's and the file is written directly.
    args: ["-c", 'log=$1; shift; exec "$@" >>"$log" 2>&1', "sh", options.logFile, ...command],
    cwd: ROOT,
    clearEnv: true,
    env: {
      ...runtimeEnvironment(options),
      DENO_NO_UPDATE_CHECK: "1",
      NO_COLOR: "1",
      ...options.env,
      STOP_WITH_STDIN: "true",
    },
    detached: true,
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let alive = true;
  const ended = child.status.then(async (status) => {
    alive = false;
    try {
      await child.stdin.close();
    } catch (error) {
      // A pipe whose reader is gone is as closed as can be.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
    return status;
  });
  return {
    pid: child.pid,
    ended,
    isAlive: () => alive,
    kill(signal) {
      if (alive) child.kill(signal);
    },
  };
}

const POLL_MS = 20;

/**
 * Waits until `/readyz` says that the service can do its work. Of copies behind one port the answer may be another's:
 * each is asked anew until the one that is meant has said so.
 *
 * @throws when the process ends instead or does not get ready in time, with the reason and the end of its log
 */
export async function waitUntilReady(
  name: string,
  process: ServiceProcess,
  { url, instance, logFile, timeoutMs }: {
    url: string;
    /** Default: whichever copy answers. */
    instance?: string;
    logFile: string;
    timeoutMs: number;
  },
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let reason = "it does not answer";
  while (true) {
    if (!process.isAlive()) {
      const { code, signal } = await process.ended;
      throw new Error(
        `Cannot start ${name}: it ended ${signal === null ? `with code ${code}` : `by ${signal}`}; ` +
          `its log ${logFile} ends:\n${await readableTail(logFile)}`,
      );
    }
    const answer = await readiness(url, instance);
    if (answer === "ready") return;
    reason = answer ?? reason;
    if (performance.now() > deadline) {
      throw new Error(
        `Cannot start ${name}: it is not ready after ${timeoutMs / 1000} s: ${reason}; ` +
          `its log ${logFile} ends:\n${await readableTail(logFile)}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** `ready`, why not, or `undefined` when nobody answers. */
async function readiness(url: string, instance: string | undefined): Promise<string | undefined> {
  let response: Response;
  try {
    response = await fetch(`${url}/readyz`, {
      // The next connection may reach another copy.
      headers: { connection: "close" },
      signal: AbortSignal.timeout(5_000),
    });
  } catch {
    // It does not listen yet: whether it lives is seen by its process.
    return undefined;
  }
  const { checks, instance: answered } = await response.json() as {
    checks: Record<string, { ok: boolean; reason?: string }>;
    instance: string;
  };
  if (instance !== undefined && answered !== instance) return undefined;
  if (response.ok) return "ready";
  return Object.entries(checks).filter(([, { ok }]) => !ok).map(([name, { reason }]) => `${name}: ${reason}`)
    .join("; ");
}

/** @throws when the port that a service must have is taken, with who holds it */
export async function refuseTakenPort(name: string, port: number): Promise<void> {
  if (!isPortTaken(port)) return;
  throw new Error(
    `Cannot start ${name}: port ${port} on 127.0.0.1 is taken by ${await describePortHolder(
      port,
    )}; stop that first`,
  );
}
