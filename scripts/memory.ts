/**
 * How much memory processes take: the proportional share (PSS: a page that n processes share counts 1/n for each)
 * where the system tells it, else the resident set.
 *
 * @module
 */
import { run } from "shared/infra/command.ts";

export interface MemoryUse {
  bytes: number;
  /** What `bytes` is. One that could not be read with the share of all its processes is `rss` altogether. */
  kind: "pss" | "rss";
}

export interface MemoryOptions {
  /** Default true. */
  withChildren?: boolean;
}

/** The memory of a process and of all that it started (0 for a process that is gone). */
export async function memoryOf(pid: number, { withChildren = true }: MemoryOptions = {}): Promise<MemoryUse> {
  const family = withChildren ? await familyOf(pid) : [pid];
  if (Deno.build.os === "linux") {
    const shares = family.map(proportionalShare);
    if (shares.every((share) => share !== undefined)) return { bytes: sum(shares), kind: "pss" };
  }
  return { bytes: sum(await residentSets(family)), kind: "rss" };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** `undefined` when it may not be read. */
function proportionalShare(pid: number): number | undefined {
  try {
    const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
    return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * 1024;
  } catch (error) {
    // ESRCH: it ended between the opening and the reading.
    if (error instanceof Deno.errors.NotFound || String(error).includes("os error 3")) return 0;
    return undefined;
  }
}

async function residentSets(pids: readonly number[]): Promise<number[]> {
  if (pids.length === 0) return [];
  const { stdout } = await run("ps", ["-o", "rss=", "-p", pids.join(",")]);
  return stdout.trim().split(/\s+/).map((kilobytes) => Number(kilobytes) * 1024);
}

async function familyOf(pid: number): Promise<number[]> {
  const { stdout } = await run("ps", ["-A", "-o", "pid=,ppid="]);
  const children = new Map<number, number[]>();
  for (const line of stdout.split("\n")) {
    const [child, parent] = line.trim().split(/\s+/).map(Number);
    if (child !== undefined && parent !== undefined) {
      children.set(parent, [...children.get(parent) ?? [], child]);
    }
  }
  const family: number[] = [];
  const waiting = [pid];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    family.push(next);
    waiting.push(...children.get(next) ?? []);
  }
  return family;
}
