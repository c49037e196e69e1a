/**
 * Where a project's PostgreSQL keeps its data and its socket: in `.microml/postgres`, unless the account that
 * it runs as can't go there, or the path is too long for a socket.
 *
 * @module
 */

import { join } from "node:path";
import { type Account, canEnter, give, makeOwnFolder, MAX_SOCKET_FOLDER, temporaryBase } from "./account.ts";

export interface PostgresHome {
  home: string;
  socketFolder: string;
}

/** Finds the places, and makes them where they are missing. `folder` is the project's `.microml`. */
export async function postgresHome(
  folder: string,
  account: Account | undefined,
  say: (line: string) => void,
): Promise<PostgresHome> {
  const home = await dataHome(folder, account, say);
  if (home.length <= MAX_SOCKET_FOLDER) return { home, socketFolder: home };
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(home));
  const name = `microml-${new Uint8Array(digest).toHex().slice(0, 16)}`;
  const socketFolder = join(await temporaryBase(account), name);
  await makeOwnFolder(socketFolder, account);
  return { home, socketFolder };
}

/**
 * `.microml/postgres`. Where the account can't enter that (a checkout under /root, which is 0700), this is a
 * link to a folder under /var/tmp, which outlives a restart of the machine. Its name is random: whoever removes
 * `.microml` begins anew.
 */
async function dataHome(
  folder: string,
  account: Account | undefined,
  say: (line: string) => void,
): Promise<string> {
  const home = join(folder, "postgres");
  const existing = await resolveIfThere(home);
  if (existing !== undefined) return existing;
  await removeDeadLink(home);
  if (await canEnter(folder, account)) {
    await Deno.mkdir(home, { mode: 0o700 });
    await give(home, account);
    return home;
  }
  const elsewhere = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "microml-" });
  await give(elsewhere, account);
  await Deno.symlink(elsewhere, home);
  say(
    `PostgreSQL runs as "${account?.name}", who can't enter ${folder}: its data are in ${elsewhere}, ` +
      `linked from ${home}`,
  );
  return elsewhere;
}

/** A link whose folder is gone, as /var/tmp may be emptied. */
async function removeDeadLink(link: string): Promise<void> {
  try {
    await Deno.remove(link);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function resolveIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
