/** psql, whose `\\copy` is the ceiling of everything that stores events. @module */
import { join } from "node:path";
import { run } from "shared/infra/command.ts";
import type { BenchStack } from "./bench_stack.ts";

export interface Psql {
  /** Runs a command in the service's database. @returns how long it took by psql's own clock, in milliseconds */
  time(command: string): Promise<number>;
}

const HOMES = "/usr/lib/postgresql";

/** Undefined where there is no psql: the embedded PostgreSQL comes without. */
export async function findPsql({ stack }: BenchStack, service: string): Promise<Psql | undefined> {
  for (const program of await candidates()) {
    if (!(await run(program, ["--version"])).ok) continue;
    return {
      async time(command) {
        const { ok, stdout, reason } = await run(program, [
          stack.databaseUrl(service),
          "--no-psqlrc",
          "--command",
          "\\timing on",
          "--command",
          command,
        ], { timeoutMs: 600_000 });
        const ms = /Time: ([0-9.]+) ms/.exec(stdout)?.[1];
        if (!ok || ms === undefined) throw new Error(`Cannot run psql: ${reason}`);
        return Number(ms);
      },
    };
  }
  return undefined;
}

async function candidates(): Promise<string[]> {
  const found = ["psql"];
  try {
    for await (const { name } of Deno.readDir(HOMES)) found.push(join(HOMES, name, "bin", "psql"));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found;
}
