/**
 * Finding or getting nats-server, without Docker and without root.
 *
 * Needs `--allow-env`, `--allow-run`, reading and writing of `.microml/`, reading of PATH's folders, and
 * `--allow-net` for the release page; see nats_release.ts and nats_packages.ts.
 *
 * @module
 */

import { join } from "node:path";
import { lastLine, programsOnPath, run } from "./command.ts";
import type { FetchContext, FetchWay, Platform } from "./nats_fetch.ts";
import { debianPackage, goToolchain, homebrew } from "./nats_packages.ts";
import { releaseArchive } from "./nats_release.ts";

/** The version that is fetched. Any found one from {@link OLDEST_NATS} on is taken as it is. */
export const PINNED_NATS = "2.14.9";
/** Older servers lack several filter subjects a consumer, metadata and `sync_interval`. */
export const OLDEST_NATS: NatsVersion = [2, 10];

export type NatsVersion = readonly [major: number, minor: number];

export interface FindNatsOptions {
  /** The folder whose `.microml/bin` keeps a fetched copy. Default: this repository. */
  root?: string;
  /** Told in a line why a way was passed over, and what is being fetched. Default: silence. */
  say?: (line: string) => void;
  /** The environment variables. Default: this process's. */
  env?: (name: string) => string | undefined;
  /** Default: this machine's. */
  platform?: Platform;
  /** How long the release page may stay silent, in ms. Default: 20,000. */
  silenceMs?: number;
}

const FETCH_WAYS: readonly { name: string; fetch: FetchWay }[] = [
  { name: "the release archive", fetch: releaseArchive },
  { name: "Go", fetch: goToolchain },
  { name: "Debian's package", fetch: debianPackage },
  { name: "Homebrew", fetch: homebrew },
];

/**
 * The path of a nats-server, 2.10 or newer. In this order: the environment variable `NATS_SERVER_BIN`; PATH;
 * a copy fetched before; the official release archive of {@link PINNED_NATS}; a Go toolchain; Debian's package,
 * unpacked without root; Homebrew. Throws, with what to install, when no way leads to one.
 *
 * Of several callers at once, in one process or many, one fetches and the others wait for its copy.
 */
export async function findNatsServer(options: FindNatsOptions = {}): Promise<string> {
  const { root = join(import.meta.dirname ?? "", "..", ".."), say = () => {}, env = Deno.env.get } = options;
  const copy = join(root, ".microml", "bin", "nats-server");
  const sayWhy = (way: string, why: string) => say(`nats-server by ${way}: ${why}`);
  const onPath = await programsOnPath("nats-server", env("PATH"));
  const found = await findInstalled(env("NATS_SERVER_BIN"), onPath, sayWhy);
  if (found !== undefined) return found;
  const copyFault = await faultOf(copy);
  if (copyFault === undefined) return copy;

  if (onPath.length === 0) sayWhy("PATH", "there is none");
  sayWhy("a copy fetched before", copyFault);
  await Deno.mkdir(join(root, ".microml", "bin"), { recursive: true });
  using lock = await Deno.open(join(root, ".microml", "bin", "lock"), { create: true, write: true });
  if (!(await lock.tryLock(true))) {
    say("Waiting for another process that fetches nats-server");
    await lock.lock(true);
  }
  // Who held the lock before may have fetched it.
  if (await faultOf(copy) === undefined) return copy;
  return await fetchCopy(copy, {
    version: PINNED_NATS,
    platform: options.platform ?? Deno.build,
    say,
    env,
    silenceMs: options.silenceMs ?? 20_000,
  });
}

async function findInstalled(
  named: string | undefined,
  onPath: readonly string[],
  sayWhy: (way: string, why: string) => void,
): Promise<string | undefined> {
  const candidates = [
    ...(named ? [{ way: "NATS_SERVER_BIN", program: named }] : []),
    ...onPath.map((program) => ({ way: "PATH", program })),
  ];
  for (const { way, program } of candidates) {
    const fault = await faultOf(program);
    if (fault === undefined) return program;
    sayWhy(way, fault);
  }
  return undefined;
}

async function fetchCopy(copy: string, context: Omit<FetchContext, "scratch">): Promise<string> {
  for (const { name, fetch } of FETCH_WAYS) {
    // Beside its final place, so that the rename is atomic: whoever looks sees the whole program or none.
    const scratch = await Deno.makeTempDir({ dir: join(copy, ".."), prefix: "fetch-" });
    try {
      const program = await fetch({ ...context, scratch });
      const fault = await faultOf(program);
      if (fault !== undefined) throw new Error(fault);
      if (!program.startsWith(scratch)) return program;
      await Deno.rename(program, copy);
      return copy;
    } catch (error) {
      context.say(`nats-server by ${name}: ${error instanceof Error ? error.message : error}`);
    } finally {
      await Deno.remove(scratch, { recursive: true });
    }
  }
  throw new Error(
    `Cannot get nats-server ${OLDEST_NATS.join(".")} or newer: install it ` +
      `(https://github.com/nats-io/nats-server/releases; Debian 13 or newer: apt install nats-server; ` +
      `macOS: brew install nats-server), or set NATS_SERVER_BIN to its path`,
  );
}

/** Why the program will not do; `undefined` when it will. */
async function faultOf(program: string): Promise<string | undefined> {
  const { ok, stdout, reason } = await run(program, ["--version"], { timeoutMs: 10_000 });
  if (!ok) return reason;
  const version = parseNatsVersion(stdout);
  if (version === undefined) return `${program} --version says ${JSON.stringify(lastLine(stdout))}`;
  if (!isAtLeast(version, OLDEST_NATS)) {
    return `${program} is of version ${version.join(".")}, and ${OLDEST_NATS.join(".")} or newer is needed`;
  }
  return undefined;
}

/** The version in what `nats-server --version` says; `undefined` when it says something else. */
export function parseNatsVersion(output: string): NatsVersion | undefined {
  const match = output.match(/nats-server: v?(\d+)\.(\d+)\b/);
  return match ? [Number(match[1]), Number(match[2])] : undefined;
}

function isAtLeast([major, minor]: NatsVersion, [leastMajor, leastMinor]: NatsVersion): boolean {
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}
