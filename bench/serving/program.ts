/** Another server beside ours, for as long as a benchmark needs it. @module */
import { freePort } from "shared/infra/ports.ts";
import { delay } from "shared/delay.ts";

export interface Program extends AsyncDisposable {
  readonly port: number;
}

export interface ProgramOptions {
  command: string;
  args: (port: number) => readonly string[];
  /** Path that answers 2xx when it is ready. */
  ready: string;
  env?: (port: number) => Readonly<Record<string, string>>;
  cwd?: string;
}

const READY_WITHIN_MS = 60_000;

/** @throws when it does not become ready */
export async function startProgram({ command, args, ready, env, cwd }: ProgramOptions): Promise<Program> {
  const port = freePort();
  const process = new Deno.Command(command, {
    args: [...args(port)],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    ...(env === undefined ? {} : { env: env(port) }),
    ...(cwd === undefined ? {} : { cwd }),
  }).spawn();
  let ended = false;
  const over = process.status.then(() => ended = true);
  const stop = async () => {
    if (!ended) process.kill("SIGTERM");
    const timer = setTimeout(() => ended || process.kill("SIGKILL"), 5_000);
    await over;
    clearTimeout(timer);
  };
  for (const until = performance.now() + READY_WITHIN_MS; performance.now() < until;) {
    if (ended) throw new Error(`Cannot start ${command}: it ended`);
    try {
      const response = await fetch(`http://127.0.0.1:${port}${ready}`);
      await response.body?.cancel();
      if (response.ok) return { port, [Symbol.asyncDispose]: stop };
    } catch {
      // Nobody listens yet.
    }
    await delay(100);
  }
  await stop();
  throw new Error(`Cannot start ${command}: it is not ready within ${READY_WITHIN_MS / 1_000} s`);
}
