/**
 * Running a program to its end, with a time limit, without throwing for what a caller can report in a line.
 *
 * @module
 */
import { join } from "node:path";

export interface CommandOptions {
  cwd?: string;
  env?: Record<string, string>;
  uid?: number;
  gid?: number;
  /** Default 60 s; the program is killed then. */
  timeoutMs?: number;
}

export interface CommandResult {
  ok: boolean;
  stdout: string;
  /** Why it failed, in one line: the last line of its standard error, or why it could not be run. */
  reason: string;
}

/** Runs `program`. A missing program, a time-out and a non-zero exit are results, not exceptions. */
export async function run(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { timeoutMs = 60_000, ...spawnOptions } = options;
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), timeoutMs);
  try {
    const output = await new Deno.Command(program, {
      ...spawnOptions,
      args: [...args],
      stdin: "null",
      signal: patience.signal,
    }).output();
    const decoder = new TextDecoder();
    const complaint = lastLine(decoder.decode(output.stderr)) || lastLine(decoder.decode(output.stdout));
    return {
      ok: output.success,
      stdout: decoder.decode(output.stdout),
      reason: patience.signal.aborted
        ? `${program} took longer than ${timeoutMs / 1000} s`
        : complaint || `${program} ended with code ${output.code}`,
    };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return { ok: false, stdout: "", reason: `${program} is not there` };
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      return { ok: false, stdout: "", reason: `${program} may not be run: ${error.message}` };
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The last line that says something. */
export function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1)?.trim() ?? "";
}

/** Every executable of this name in PATH's folders, in PATH's order. */
export async function programsOnPath(name: string, path: string | undefined): Promise<string[]> {
  const programs: string[] = [];
  for (const folder of (path ?? "").split(":").filter(Boolean)) {
    const program = join(folder, name);
    if (await isExecutable(program)) programs.push(program);
  }
  return programs;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    const { isFile, mode } = await Deno.stat(file);
    return isFile && ((mode ?? 0) & 0o111) !== 0;
  } catch (error) {
    const { NotFound, PermissionDenied, NotADirectory } = Deno.errors;
    if ([NotFound, PermissionDenied, NotADirectory].some((kind) => error instanceof kind)) return false;
    throw error;
  }
}
