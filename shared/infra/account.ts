/**
 * PostgreSQL refuses to run as root, so a root launcher runs it as an account without rights. Files that
 * server needs must then lie where that account can go: not under root's own 0700 home.
 *
 * Needs `--allow-run`, `--allow-sys=uid,gid`, and reading and writing of the folders named.
 *
 * @module
 */

import { tmpdir } from "node:os";
import { run } from "./command.ts";

export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/**
 * The account that PostgreSQL is to run as: `postgres` where it exists, else `nobody`;
 * `undefined` when the launcher is an ordinary user, who runs it as himself.
 */
export async function serverAccount(): Promise<Account | undefined> {
  if (Deno.uid() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    const uid = await run("id", ["-u", name]);
    const gid = await run("id", ["-g", name]);
    if (uid.ok && gid.ok) return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new Error(
    `Cannot run PostgreSQL as root: neither the account "postgres" nor "nobody" exists; ` +
      `add one by "useradd --system postgres", or start this as an ordinary user`,
  );
}

/** Whether the account can enter the folder. An `undefined` account stands for the launcher itself. */
export async function canEnter(folder: string, account: Account | undefined): Promise<boolean> {
  return (await runAs(account, "sh", ["-c", 'cd "$1"', "sh", folder])).ok;
}

/** Runs a program as the account, in `/`, which every account can enter. */
export function runAs(
  account: Account | undefined,
  program: string,
  args: readonly string[],
): ReturnType<typeof run> {
  return run(program, args, { cwd: "/", ...idsOf(account) });
}

export function idsOf(account: Account | undefined): { uid?: number; gid?: number } {
  return account === undefined ? {} : { uid: account.uid, gid: account.gid };
}

/** Gives a file or folder (not what is in it) to the account. */
export async function give(path: string, account: Account | undefined): Promise<void> {
  if (account !== undefined) await Deno.chown(path, account.uid, account.gid);
}

/**
 * Where short-lived servers may put their folders: the system's temporary folder, or /tmp or /var/tmp where
 * the account can't enter the first (a per-user TMPDIR), or its path is too long for a unix socket in it.
 */
export async function temporaryBase(account: Account | undefined): Promise<string> {
  const candidates = [tmpdir(), "/tmp", "/var/tmp"];
  for (const folder of candidates) {
    const short = folder.length + NAME_LENGTH <= MAX_SOCKET_FOLDER;
    if (short && await canEnter(folder, account)) return folder;
  }
  throw new Error(
    `Cannot find a temporary folder for the account "${account?.name ?? Deno.uid()}": ` +
      `it can enter none of ${candidates.join(", ")}, or their paths are longer than ` +
      `${MAX_SOCKET_FOLDER - NAME_LENGTH} characters`,
  );
}

/** The longest name that is given to a folder under the temporary one. */
const NAME_LENGTH = 40;

/**
 * The longest folder for a unix socket: `sun_path` holds 104 bytes on macOS and 108 on Linux, of which
 * `/.s.PGSQL.65535` takes 15 and a NUL one.
 */
export const MAX_SOCKET_FOLDER = 88;

/** Makes the folder, or takes it as it is if it is the account's or the launcher's own. */
export async function makeOwnFolder(folder: string, account: Account | undefined): Promise<void> {
  try {
    await Deno.mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    // Where everybody may write, a name that can be foretold may be somebody else's already.
    const { uid, isDirectory } = await Deno.lstat(folder);
    if (!isDirectory || (uid !== Deno.uid() && uid !== account?.uid)) {
      throw new Error(`Cannot use the folder ${folder}: it belongs to the account ${uid}`);
    }
  }
  await give(folder, account);
}
