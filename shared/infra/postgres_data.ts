/**
 * The folder of a PostgreSQL server: made once, and put in order after a crash.
 *
 * @module
 */

import { join } from "node:path";
import { type Account, canEnter, give, runAs } from "./account.ts";
import { run } from "./command.ts";
import { readIfThere, removeIfThere } from "./folders.ts";
import { processBirth } from "./process_identity.ts";

export interface Superuser {
  name: string;
  password: string;
}

export interface DataFolderOptions {
  /** The folder with `initdb` and `postgres`. */
  binFolder: string;
  account: Account | undefined;
  /** Whether the new files are synced to the disk. */
  durable: boolean;
  /**
   * A folder under which initialised data are kept and copied from, which takes a fraction of the time of
   * `initdb`. All servers copied from there have one superuser's password. Default: none.
   */
  templates?: string;
}

const SUPERUSER = "postgres";

export const dataFolderOf = (home: string): string => join(home, "data");
export const logFileOf = (home: string): string => join(home, "server.log");
const passwordFileOf = (home: string): string => join(home, "superuser.password");

/**
 * Makes the home folder ready for a server: data initialised once, with a random password for the superuser
 * and password authentication on every way in.
 */
export async function prepareDataFolder(home: string, options: DataFolderOptions): Promise<Superuser> {
  const { account, binFolder } = options;
  await Deno.mkdir(home, { recursive: true, mode: 0o700 });
  await give(home, account);
  await touch(logFileOf(home), account);
  const version = await readIfThere(join(dataFolderOf(home), "PG_VERSION"));
  if (version === undefined) return await initialise(home, options);
  await checkVersion(home, version.trim(), binFolder);
  await checkOwner(home, account);
  return await readSuperuser(home);
}

/** The superuser of the data in this home folder. */
export async function readSuperuser(home: string): Promise<Superuser> {
  return { name: SUPERUSER, password: (await Deno.readTextFile(passwordFileOf(home))).trim() };
}

/** PostgreSQL takes only data of its own account, but does not say how they came to be another's. */
async function checkOwner(home: string, account: Account | undefined): Promise<void> {
  const needed = account?.uid ?? Deno.uid();
  const { uid } = await Deno.stat(dataFolderOf(home));
  if (uid !== needed) {
    throw new Error(
      `Cannot start PostgreSQL as the account ${needed}: the data in ${home} belong to the account ${uid}, ` +
        `as whom an earlier run made them; run as that one again, or remove the data`,
    );
  }
}

/** Under another name first, so that data that are there halfway are never taken for whole. */
async function initialise(home: string, options: DataFolderOptions): Promise<Superuser> {
  const unfinished = join(home, "data.unfinished");
  await removeIfThere(unfinished);
  const template = await findTemplate(options);
  if (template === undefined) {
    await runInitdb(home, unfinished, options);
  } else {
    await Deno.copyFile(passwordFileOf(template), passwordFileOf(home));
    const copied = await runAs(options.account, "cp", ["-Rp", dataFolderOf(template), unfinished]);
    if (!copied.ok) throw new Error(`Cannot copy PostgreSQL's data from ${template}: ${copied.reason}`);
  }
  await Deno.rename(unfinished, dataFolderOf(home));
  return await readSuperuser(home);
}

async function runInitdb(home: string, target: string, options: DataFolderOptions): Promise<void> {
  const { account, binFolder, durable } = options;
  await Deno.writeTextFile(passwordFileOf(home), crypto.randomUUID() + "\n", { mode: 0o600 });
  await give(passwordFileOf(home), account);
  const result = await runAs(account, join(binFolder, "initdb"), [
    `--pgdata=${target}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${passwordFileOf(home)}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    // Sorts by code point, alike on every system, and keeps the server's messages in English.
    "--locale=C",
    "--no-instructions",
    ...(durable ? [] : ["--no-sync"]),
  ]);
  if (!result.ok) throw new Error(`Cannot initialise PostgreSQL's data in ${home}: ${result.reason}`);
}

/**
 * A template is a home folder of its own, never started, one for each version and account. Made when missing;
 * `undefined` when none is wanted, or the folder for them is not for this account.
 */
async function findTemplate(options: DataFolderOptions): Promise<string | undefined> {
  const { templates, account, binFolder } = options;
  if (templates === undefined) return undefined;
  const template = join(templates, `postgres-${await versionOf(binFolder)}-${account?.name ?? Deno.uid()}`);
  try {
    await Deno.mkdir(templates, { recursive: true });
    if (!(await canEnter(templates, account))) return undefined;
    await Deno.mkdir(template, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) return undefined;
    throw error;
  }
  await give(template, account);
  using lock = await Deno.open(join(template, "lock"), { create: true, write: true });
  await lock.lock(true);
  const isMade = await readIfThere(join(dataFolderOf(template), "PG_VERSION")) !== undefined;
  if (!isMade) await initialise(template, { account, binFolder, durable: false });
  return template;
}

async function checkVersion(home: string, dataVersion: string, binFolder: string): Promise<void> {
  const version = await versionOf(binFolder);
  if (String(version) !== dataVersion) {
    throw new Error(
      `Cannot start PostgreSQL ${version} (${binFolder}): the data in ${home} are of PostgreSQL ` +
        `${dataVersion}; set POSTGRES_BIN_DIR to the programs of ${dataVersion}, or remove the data`,
    );
  }
}

async function versionOf(binFolder: string): Promise<number | undefined> {
  const output = await run(join(binFolder, "postgres"), ["--version"]);
  if (!output.ok) throw new Error(`Cannot run PostgreSQL in ${binFolder}: ${output.reason}`);
  return majorVersion(output.stdout);
}

/** The major version in what `postgres --version` says; `undefined` when it says something else. */
export function majorVersion(output: string): number | undefined {
  const major = output.match(/\(PostgreSQL\) (\d+)/)?.[1];
  return major === undefined ? undefined : Number(major);
}

/**
 * PostgreSQL sees by itself that a lock file was left by a server that is gone, unless that one's pid exists:
 * as a zombie, or as another program's that got it after a restart of the machine. Such a file gets a pid that
 * never exists. It is not removed: the rest of it leads PostgreSQL to sessions of the old server that still
 * run, the guard that keeps the data whole.
 */
export async function disownStaleLocks(home: string, socketFolder: string): Promise<void> {
  const locks = [join(dataFolderOf(home), "postmaster.pid")];
  for await (const { name } of Deno.readDir(socketFolder)) {
    if (name.startsWith(".s.PGSQL.") && name.endsWith(".lock")) locks.push(join(socketFolder, name));
  }
  for (const lock of locks) {
    const text = await readIfThere(lock);
    if (text === undefined || await servesData(parseInt(text, 10), dataFolderOf(home))) continue;
    await Deno.writeTextFile(lock, text.replace(/^\d+/, String(NEVER_A_PID)), { create: false });
  }
}

/** Beyond what Linux (2^22) and macOS (99,999) count to. */
const NEVER_A_PID = 2 ** 22 + 1;

/** Whether the process is a PostgreSQL server on these data: its working folder is there. */
async function servesData(pid: number, dataFolder: string): Promise<boolean> {
  if (processBirth(pid) === undefined) return false;
  if (Deno.build.os === "linux") {
    try {
      return await Deno.readLink(`/proc/${pid}/cwd`) === await Deno.realPath(dataFolder);
    } catch (error) {
      // It has ended meanwhile, or is another account's, which the server on these data is not.
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
        return false;
      }
      throw error;
    }
  }
  const { ok, stdout } = await run("ps", ["-o", "comm=", "-p", String(pid)]);
  return ok && stdout.trim().endsWith("postgres");
}

/** The server opens its log as its own account, in a folder where a root launcher may have made the file. */
async function touch(file: string, account: Account | undefined): Promise<void> {
  await Deno.writeTextFile(file, "", { append: true, mode: 0o600 });
  await give(file, account);
}
