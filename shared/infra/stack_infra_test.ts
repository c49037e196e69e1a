import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { eventually } from "shared/testing/poll.ts";
import { join } from "node:path";
import postgres from "postgres";
import type { DatabaseRow } from "./databases.ts";
import { type InfraState, readInfraState, writeInfraState } from "./infra_state.ts";
import { findNatsServer } from "./nats_server.ts";
import { freePort } from "./ports.ts";
import { identify, isRunning } from "./process_identity.ts";
import { type Infra, type InfraOptions, startInfra } from "./stack_infra.ts";
import { makeTestFolder, type TestFolder } from "./test_folder.ts";
import { startThrowawayNats, TEST_TEMPLATES } from "./throwaway.ts";

const DATABASES: readonly DatabaseRow[] = [
  { database: "orders", role: "orders", password: 'it\'s "quoted"' },
  { database: "Stock-2", role: "Stock-2", password: "stock" },
];

/** A project of its own, on ports of its own, with the lines that were said. */
async function project(folder: TestFolder) {
  const lines: string[] = [];
  const options: InfraOptions = {
    root: folder.path,
    databases: DATABASES,
    say: (line) => lines.push(line),
    natsServer: await findNatsServer(),
    natsPort: freePort(),
    natsMonitorPort: freePort(),
    postgresPort: freePort(),
    postgres: { durable: false, templates: TEST_TEMPLATES },
  };
  return { options, lines, stateFile: join(folder.path, ".microml", "infra.json") };
}

Deno.test("startInfra() keeps data over a restart, and lets no role into another's database", async () => {
  await using folder = await makeTestFolder();
  const { options, stateFile } = await project(folder);
  {
    await using infra = await startInfra(options);
    assertEquals([infra.nats.port, infra.nats.monitorPort, infra.postgres.port], [
      options.natsPort,
      options.natsMonitorPort,
      options.postgresPort,
    ]);
    for (const row of DATABASES) {
      await asRole(infra, row, row.database, (sql) => sql`create table kept as select 1 as one`);
      const others = DATABASES.map(({ database }) => database).filter((name) => name !== row.database);
      for (const database of [...others, "postgres", "template1"]) {
        const error = await assertRejects(() => asRole(infra, row, database, (sql) => sql`select 1`), Error);
        assertEquals(error.message, `permission denied for database "${database}"`);
      }
    }
    assertEquals((await readInfraState(stateFile))?.postgres?.pid, infra.postgres.pid);
  }
  assertEquals(await readInfraState(stateFile), undefined);
  await using infra = await startInfra(options);
  for (const row of DATABASES) {
    const rows = await asRole(infra, row, row.database, (sql) => sql`select one from kept`);
    assertEquals(rows.length, 1);
  }
});

Deno.test("startInfra() attaches to what another launcher runs, and leaves it running", async () => {
  await using folder = await makeTestFolder();
  const { options, lines } = await project(folder);
  // Both at once: one starts the servers, the other waits for them.
  const [one, other] = await Promise.all([startInfra(options), startInfra(options)]);
  const [own, attached] = one.attachedTo === undefined ? [one, other] : [other, one];
  await using _own = own;
  assertEquals([own.attachedTo, attached.attachedTo], [undefined, Deno.pid]);
  assertEquals([attached.nats.url, attached.nats.pid], [own.nats.url, own.nats.pid]);
  assertStringIncludes(
    lines.join("\n"),
    `NATS and PostgreSQL run already, started by process ${Deno.pid}: using those`,
  );
  const [row] = DATABASES;
  assert(row !== undefined);
  await asRole(attached, row, row.database, (sql) => sql`select 1`);
  await attached.stop();
  assert(own.nats.isAlive());
  assert(own.postgres.isAlive());
});

Deno.test("startInfra() comes back after its launcher was killed", async () => {
  await using folder = await makeTestFolder();
  const { options, stateFile } = await project(folder);
  const launcher = new Deno.Command(Deno.execPath(), {
    args: ["eval", launchAndWait(options)],
    stdout: "null",
  }).spawn();
  const state = await eventually(async () => {
    const { nats, postgres } = await readInfraState(stateFile) ?? {};
    return nats && postgres ? { nats, postgres } : null;
  }, { timeoutMs: 60_000 });
  launcher.kill("SIGKILL");
  await launcher.status;

  await using infra = await startInfra(options);
  assertEquals(infra.attachedTo, undefined);
  assert(!isRunning(state.nats) && !isRunning(state.postgres));
  assert(infra.nats.pid !== state.nats.pid);
  const [row] = DATABASES;
  assert(row !== undefined);
  await asRole(infra, row, row.database, (sql) => sql`select 1`);
});

Deno.test("startInfra() lets a program live that has got the pid of a server of before", async () => {
  await using folder = await makeTestFolder();
  const { options, stateFile } = await project(folder);
  await Deno.mkdir(join(folder.path, ".microml"));
  const self = identify(Deno.pid);
  assert(self !== undefined);
  const before = { pid: self.pid, birth: "long ago" };
  const stale: InfraState = {
    launcher: before,
    nats: { ...before, port: 1, monitorPort: 2 },
    postgres: { ...before, port: 3 },
  };
  await writeInfraState(stateFile, stale);
  await using infra = await startInfra(options);
  assert(infra.nats.isAlive() && infra.postgres.isAlive());
});

Deno.test("startInfra() starts anew over a state file that holds no JSON", async () => {
  await using folder = await makeTestFolder();
  const { options, stateFile } = await project(folder);
  await Deno.mkdir(join(folder.path, ".microml"));
  await Deno.writeTextFile(stateFile, "{ cut");
  await using infra = await startInfra(options);
  assertEquals((await readInfraState(stateFile))?.nats?.pid, infra.nats.pid);
});

Deno.test("startInfra() names who holds NATS's port, and takes free ports for the others", async () => {
  await using holder = await startThrowawayNats();
  await using folder = await makeTestFolder();
  const { options } = await project(folder);
  const error = await assertRejects(() => startInfra({ ...options, natsPort: holder.port }), Error);
  assertMatch(
    error.message,
    new RegExp(
      `^Cannot start NATS: port ${holder.port} on 127.0.0.1 is taken by process ${holder.pid} .*set NATS_PORT`,
    ),
  );
  // The failed start has let the lock go.
  await using infra = await startInfra({
    ...options,
    natsMonitorPort: holder.port,
    postgresPort: holder.port,
  });
  assert(infra.nats.monitorPort !== holder.port);
  assert(infra.postgres.port !== holder.port);
});

/** A launcher that starts the servers and lives on. */
function launchAndWait(options: InfraOptions): string {
  return `
    const { startInfra } = await import(${JSON.stringify(import.meta.resolve("./stack_infra.ts"))});
    await startInfra(${JSON.stringify(options)});
    setInterval(() => {}, 1000);`;
}

async function asRole<T>(
  infra: Infra,
  { role, password }: DatabaseRow,
  database: string,
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const { socketFolder: host, port } = infra.postgres;
  const sql = postgres({ host, port, database, username: role, password, max: 1 });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}
