/**
 * `deno task test [path ...]`: `deno check`, then `deno test -A --parallel`, followed by a last line
 * `N passed, N failed`, which continuous integration reads. Exits with 1 when anything failed, a type check or a leak
 * outside any test included.
 *
 * Types are checked before, all at once: otherwise each worker that a test starts has its own checked while the test
 * waits for it.
 *
 * Files run side by side, twice as many as there are cores unless DENO_JOBS says otherwise: most of their time they
 * wait for a server.
 *
 * @module
 */

/** Tests, not steps: a test with a failed step has failed. */
export interface TestCounts {
  passed: number;
  failed: number;
}

/**
 * The counts of `deno test`'s own summary, such as `FAILED | 12 passed (3 steps) | 1 failed | 2 ignored (4s)`.
 * A run that fails without such a line, or for another reason than a test, has one failure.
 */
export function countTests(output: string, succeeded: boolean): TestCounts {
  // deno-lint-ignore no-control-regex
  const plain = output.replaceAll(/\x1b\[[0-9;]*m/g, "");
  const summaries = [...plain.matchAll(/^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed/gm)];
  const [, passed = "0", failed = "0"] = summaries.at(-1) ?? [];
  return { passed: Number(passed), failed: succeeded ? Number(failed) : Math.max(1, Number(failed)) };
}

async function main(): Promise<number> {
  const types = await new Deno.Command(Deno.execPath(), { args: ["check", "--quiet"] }).spawn().status;
  if (!types.success) return conclude({ passed: 0, failed: 1 });
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--parallel", "--no-check", ...Deno.args],
    env: {
      DENO_JOBS: Deno.env.get("DENO_JOBS") ?? String(2 * navigator.hardwareConcurrency),
      ...(Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : {}),
    },
    stdout: "piped",
  }).spawn();
  const decoder = new TextDecoder();
  let output = "";
  for await (const bytes of child.stdout) {
    Deno.stdout.writeSync(bytes);
    output += decoder.decode(bytes, { stream: true });
  }
  const { success } = await child.status;
  return conclude(countTests(output, success));
}

/** @returns the exit code */
function conclude({ passed, failed }: TestCounts): number {
  Deno.stdout.writeSync(new TextEncoder().encode(`${passed} passed, ${failed} failed\n`));
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
