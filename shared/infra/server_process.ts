/**
 * A server program in a session of its own (a Ctrl-C meant for its launcher does not reach it) that still
 * dies with its launcher, whatever ends that one: a small shell beside the server looks once a second
 * whether the launcher is alive.
 *
 * A pipe from the launcher would tell sooner, but `deno test` gives every test file an isolate of its own and
 * closes what that isolate opened at the file's end, and a server shared by all files must outlive the first.
 * For the same reason the server is no `Deno.ChildProcess` here: it holds no resource of a test.
 *
 * @module
 */

import { processBirth } from "./process_identity.ts";

export interface ServerOptions {
  /** Both output streams are appended to this file. */
  logFile: string;
  /** Ends the server in good order. */
  stopSignal: Deno.Signal;
  /** A folder that goes when the server goes, also after a kill -9 of the launcher. */
  removeFolder?: string;
  /** The account to run as; default: the launcher's. */
  uid?: number;
  gid?: number;
  env?: Record<string, string>;
}

export interface ServerProcess {
  readonly pid: number;
  isAlive(): boolean;
  /** Ends it with `signal` (default: its stop signal) and waits; kills it after `patienceMs` (default 15 s). */
  stop(options?: { signal?: Deno.Signal; patienceMs?: number }): Promise<void>;
}

/*
 * Prints the server's pid and returns. POSIX sh, since this runs on Debian's dash and macOS alike.
 * `birth` must agree with process_identity.ts.
 */
const LAUNCH = `
unset MICROML_LAUNCH
log=$1 owner=$2 owner_birth=$3 signal=$4 folder=$5
shift 5
"$@" </dev/null >>"$log" 2>&1 &
server=$!
echo "$server"
birth() {
  birth=
  if [ -d /proc/self ]; then
    { read -r stat </proc/"$1"/stat; } 2>/dev/null || return 0
    set -- \${stat##*) }
    case $1 in Z | X) ;; *) birth=\${20} ;; esac
  else
    set -- $(LC_ALL=C ps -o stat= -o lstart= -p "$1" 2>/dev/null)
    case $1 in Z* | "") ;; *) shift; birth=$* ;; esac
  fi
}
watch() {
  birth "$server"; server_birth=$birth
  [ -n "$server_birth" ] || return 0
  while birth "$server"; [ "$birth" = "$server_birth" ]; do
    birth "$owner"
    if [ "$birth" != "$owner_birth" ]; then
      kill -s "$signal" "$server"
      tries=0
      while birth "$server"; [ "$birth" = "$server_birth" ]; do
        sleep 1
        tries=$((tries + 1))
        [ "$tries" -lt 20 ] || kill -s KILL "$server"
      done
      [ -z "$folder" ] || rm -rf "$folder"
      return 0
    fi
    sleep 1
  done
}
{ exec </dev/null >/dev/null 2>&1; watch; } &
`;

/** Starts `command` (the program and its arguments) and returns at once: readiness is the caller's to see. */
export async function startServer(
  command: readonly [string, ...string[]],
  options: ServerOptions,
): Promise<ServerProcess> {
  const launcher = processBirth(Deno.pid);
  if (launcher === undefined) throw new Error(`Cannot find the launcher's own process ${Deno.pid}`);
  const { uid, gid, env } = options;
  const output = await new Deno.Command("sh", {
    args: [
      "-c",
      // By a variable, so that lists of processes show the watching shell in one line.
      'eval "$MICROML_LAUNCH"',
      "microml-watch",
      options.logFile,
      String(Deno.pid),
      launcher,
      options.stopSignal.replace(/^SIG/, ""),
      options.removeFolder ?? "",
      ...command,
    ],
    cwd: "/",
    detached: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    env: { ...env, MICROML_LAUNCH: LAUNCH },
  }).spawn().output();
  const pid = Number(new TextDecoder().decode(output.stdout));
  if (!output.success || !Number.isInteger(pid) || pid <= 0) {
    const complaint = new TextDecoder().decode(output.stderr).trim();
    throw new Error(`Cannot start ${command[0]}: ${complaint || `sh ended with code ${output.code}`}`);
  }
  return attachServer(pid, options.stopSignal);
}

/** Takes hold of a server that runs already, started by this process or by one that is gone. */
export function attachServer(pid: number, stopSignal: Deno.Signal): ServerProcess {
  const birth = processBirth(pid);
  const isAlive = () => birth !== undefined && processBirth(pid) === birth;
  return {
    pid,
    isAlive,
    async stop({ signal = stopSignal, patienceMs = 15_000 } = {}) {
      send(signal);
      const deadline = performance.now() + patienceMs;
      for (let wait = 2; isAlive(); wait = Math.min(wait * 1.5, 50)) {
        if (performance.now() > deadline) send("SIGKILL");
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    },
  };

  function send(signal: Deno.Signal): void {
    if (!isAlive()) return;
    try {
      Deno.kill(pid, signal);
    } catch (error) {
      // It ended between the look and the signal, which is what the signal is for.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** What the server wrote to its log from byte `offset` on, at most its last `lines` lines. */
export async function logTail(logFile: string, offset = 0, lines = 5): Promise<string> {
  const bytes = await Deno.readFile(logFile);
  return new TextDecoder().decode(bytes.subarray(offset)).trimEnd().split("\n").slice(-lines).join("\n");
}

/** How long the log is now; 0 when there is none. */
export async function logSize(logFile: string): Promise<number> {
  try {
    return (await Deno.stat(logFile)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
