import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { dirname, join } from "node:path";
import postgres from "postgres";
import { idsOf, serverAccount } from "./account.ts";
import { type PostgresServer, startPostgres } from "./postgres_process.ts";
import { findPostgres } from "./postgres_server.ts";
import { startServer } from "./server_process.ts";
import { makeTestFolder } from "./test_folder.ts";
import { sharedThrowawayPostgres, startThrowawayPostgres } from "./throwaway.ts";

Deno.test("restart() brings a killed server back on its port, with what was committed", async () => {
  await using server = await startThrowawayPostgres();
  const { port } = server;
  await asSuperuser(server, async (sql) => {
    await sql`create table kept as select 1 as one`;
    const settings = await sql<{ name: string; setting: string }[]>`
      select name, setting from pg_settings where name in ('fsync', 'full_page_writes', 'listen_addresses')
      order by name`;
    assertEquals(settings.map(({ name, setting }) => [name, setting]), [
      ["fsync", "on"],
      ["full_page_writes", "on"],
      ["listen_addresses", "127.0.0.1"],
    ]);
  });
  await server.kill();
  assert(!server.isAlive());
  // As after a restart of the machine: the pid in the lock file is now that of another program.
  const other = await startServer(["sleep", "600"], {
    ...idsOf(await serverAccount()),
    logFile: "/dev/null",
    stopSignal: "SIGTERM",
  });
  try {
    await writeLock(server, other.pid);
    await server.restart();
  } finally {
    await other.stop();
  }
  assertEquals(server.port, port);
  await asSuperuser(server, async (sql) => assertEquals((await sql`select one from kept`).length, 1));
});

Deno.test("startPostgres() asks for the password on the socket and on the port", async () => {
  await using server = await startThrowawayPostgres({ durable: false });
  for (const host of [server.socketFolder, "127.0.0.1"]) {
    const sql = connectTo(server, { host, password: "wrong" });
    const error = await assertRejects(() => sql`select 1`.execute(), Error);
    assertMatch(error.message, /password authentication failed/);
    await sql.end();
  }
});

Deno.test("startPostgres() names the port that is taken and who holds it", async () => {
  const holder = await sharedThrowawayPostgres();
  await using folder = await makeTestFolder();
  const home = join(folder.path, "home");
  const error = await assertRejects(
    async () => startPostgres({ binFolder: await findPostgres(), home, port: holder.port, durable: false }),
    Error,
  );
  assertMatch(
    error.message,
    new RegExp(
      `^Cannot start PostgreSQL: port ${holder.port} on 127.0.0.1 is taken by process ${holder.pid} `,
    ),
  );
});

Deno.test("startPostgres() refuses the data of another major version, and says what to do", async () => {
  await using folder = await makeTestFolder();
  const home = join(folder.path, "home");
  const data = join(home, "data");
  await Deno.mkdir(data, { recursive: true });
  await Deno.writeTextFile(join(data, "PG_VERSION"), "9\n");
  const error = await assertRejects(
    async () => startPostgres({ binFolder: await findPostgres(), home }),
    Error,
  );
  assertMatch(
    error.message,
    /^Cannot start PostgreSQL \d+ .* are of PostgreSQL 9; set POSTGRES_BIN_DIR .* or remove/,
  );
});

Deno.test("startPostgres() refuses a socket folder whose path is too long for a socket", async () => {
  const home = `/tmp/${"x".repeat(90)}`;
  const error = await assertRejects(() => startPostgres({ binFolder: "/nowhere", home }), Error);
  assertMatch(
    error.message,
    /^Cannot start PostgreSQL: the path of its socket folder .* has 95 characters, .* 88$/,
  );
});

/** Puts the pid into the lock file that the killed server left. */
async function writeLock(server: PostgresServer, pid: number): Promise<void> {
  const lock = join(dirname(server.logFile), "data", "postmaster.pid");
  const text = await Deno.readTextFile(lock);
  await Deno.writeTextFile(lock, text.replace(/^\d+/, String(pid)));
}

async function asSuperuser(
  server: PostgresServer,
  work: (sql: postgres.Sql) => Promise<void>,
): Promise<void> {
  const sql = connectTo(server, { host: server.socketFolder, password: server.superuser.password });
  try {
    await work(sql);
  } finally {
    await sql.end();
  }
}

function connectTo(server: PostgresServer, options: { host: string; password: string }): postgres.Sql {
  return postgres({
    ...options,
    port: server.port,
    username: server.superuser.name,
    database: "postgres",
    max: 1,
  });
}
