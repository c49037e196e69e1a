/**
 * TCP ports on the loopback interface: one that is free, and who holds one that is not.
 *
 * Needs `--allow-net=127.0.0.1`; to name a holder, `--allow-all` on Linux (`/proc`), `--allow-run=lsof`
 * elsewhere.
 *
 * @module
 */

import { run } from "./command.ts";

/** A port that nobody listens on now. Another program may take it first: be ready to ask again. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Whether somebody listens on 127.0.0.1 at this port. */
export function isPortTaken(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return true;
    throw error;
  }
}

/** Who listens at this port, such as `process 812 (nats-server -p 4222)`, as far as it can be found out. */
export async function describePortHolder(port: number): Promise<string> {
  const pid = Deno.build.os === "linux" ? listenerFromProc(port) : await listenerFromLsof(port);
  if (pid === undefined) return "another account's process";
  const command = await run("ps", ["-o", "args=", "-p", String(pid)]);
  const args = command.ok ? command.stdout.trim() : commandFromProc(pid);
  return `process ${pid}${args ? ` (${args.length > 80 ? args.slice(0, 80) + "..." : args})` : ""}`;
}

/** The error for a port that a server was told to use and can't. */
export async function portTakenError(server: string, port: number, advice: string): Promise<Error> {
  return new Error(
    `Cannot start ${server}: port ${port} on 127.0.0.1 is taken by ${await describePortHolder(port)}; ` +
      advice,
  );
}

function listenerFromProc(port: number): number | undefined {
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readOrEmpty(table).split("\n").slice(1)) {
      const fields = line.trim().split(/\s+/);
      const [local, state, inode] = [fields[1], fields[3], fields[9]];
      const isListening = state === "0A" && parseInt(local?.split(":")[1] ?? "", 16) === port;
      if (isListening && inode !== undefined) inodes.add(`socket:[${inode}]`);
    }
  }
  for (const { name } of Deno.readDirSync("/proc")) {
    if (/^\d+$/.test(name) && holdsSocket(`/proc/${name}/fd`, inodes)) return Number(name);
  }
  return undefined;
}

function holdsSocket(folder: string, sockets: ReadonlySet<string>): boolean {
  try {
    return [...Deno.readDirSync(folder)].some(({ name }) => sockets.has(linkOrEmpty(`${folder}/${name}`)));
  } catch {
    // Processes end while one looks, and those of other accounts can't be looked at: neither is the answer.
    return false;
  }
}

function linkOrEmpty(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    // Closed while one looks: the others of this process still count.
    return "";
  }
}

async function listenerFromLsof(port: number): Promise<number | undefined> {
  const found = await run("lsof", ["-nP", "-t", `-iTCP:${port}`, "-sTCP:LISTEN"]);
  const pid = Number(found.stdout.split("\n")[0]);
  return found.ok && pid > 0 ? pid : undefined;
}

/** For systems without `ps`, as slim containers are. */
function commandFromProc(pid: number): string {
  return readOrEmpty(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
}

function readOrEmpty(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    // What can't be read can't name the holder; the error that this is for is reported all the same.
    return "";
  }
}
