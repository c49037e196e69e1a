/**
 * Telling one process from another that got its number later: a pid alone says nothing after a crash.
 *
 * Needs `--allow-all` on Linux (Deno guards `/proc` with it), `--allow-run=ps` elsewhere.
 *
 * @module
 */

/**
 * When the process started, as an opaque text that two processes with one pid never share;
 * `undefined` when there is no such process, or only its zombie.
 */
export function processBirth(pid: number): string | undefined {
  return Deno.build.os === "linux" ? birthFromProc(pid) : birthFromPs(pid);
}

/** A process, told from all that have had or will have its number. */
export interface ProcessIdentity {
  pid: number;
  birth: string;
}

/** The identity of a running process; `undefined` when it does not run. */
export function identify(pid: number): ProcessIdentity | undefined {
  const birth = processBirth(pid);
  return birth === undefined ? undefined : { pid, birth };
}

/** Whether this very process still runs. */
export function isRunning({ pid, birth }: ProcessIdentity): boolean {
  return processBirth(pid) === birth;
}

function birthFromProc(pid: number): string | undefined {
  let stat: string;
  try {
    stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch (error) {
    // ESRCH: it ended between the opening and the reading.
    if (error instanceof Deno.errors.NotFound || String(error).includes("os error 3")) return undefined;
    throw error;
  }
  // The name in parentheses may hold anything, so fields are counted from the last parenthesis on.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

function birthFromPs(pid: number): string | undefined {
  const output = new Deno.Command("ps", {
    args: ["-o", "stat=", "-o", "lstart=", "-p", String(pid)],
    env: { LC_ALL: "C" },
    stderr: "null",
  }).outputSync();
  const [state, ...start] = new TextDecoder().decode(output.stdout).trim().split(/\s+/);
  return !output.success || !state || state.startsWith("Z") ? undefined : start.join(" ");
}
