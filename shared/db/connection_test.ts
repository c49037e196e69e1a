import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import { startThrowawayPostgres } from "../infra/throwaway.ts";
import { silentLogger } from "../log.ts";
import { createEmptyDatabase, createTestDatabase } from "../testing/database.ts";
import { eventually } from "../testing/poll.ts";
import { parseDatabaseUrl } from "./address.ts";
import { connectDatabase, isDatabaseAway, transaction, waitForDatabase } from "./connection.ts";

/** The same database by TCP, where the tests' own way is the unix socket. */
function overTcp(url: string): string {
  const { user, password, port, database } = parseDatabaseUrl(url);
  return `postgres://${user}:${password}@127.0.0.1:${port}/${database}`;
}

for (const way of ["unix socket", "TCP"] as const) {
  Deno.test(`connectDatabase() carries values as the platform writes them over ${way}`, async () => {
    await using database = await createEmptyDatabase();
    const url = way === "TCP" ? overTcp(database.url) : database.url;
    const db = connectDatabase({ url, log: silentLogger });
    try {
      const instant = "2011-05-02T08:26:00.120Z";
      const [row] = await db`
        select ${instant}::timestamptz as instant,
          array[${new Date(instant)}::timestamptz] as instants,
          timestamp '2011-05-02 08:26:00' as without_zone,
          date '2011-05-02' as day,
          ${9_007_199_254_740_991}::int8 as count,
          0.1::numeric as decimal,
          ${db.json({ a: [1] })}::jsonb as json,
          ${JSON.stringify({ b: 1, a: 2 })}::text::json as text_json,
          ${new Uint8Array([0, 255])}::bytea as bytes`;
      assertEquals({ ...row, bytes: [...row!["bytes"]] }, {
        instant,
        instants: [instant],
        without_zone: "2011-05-02T08:26:00.000Z",
        day: "2011-05-02",
        count: 9_007_199_254_740_991,
        decimal: "0.1",
        json: { a: [1] },
        text_json: { b: 1, a: 2 },
        bytes: [0, 255],
      });
    } finally {
      await db.end();
    }
  });
}

Deno.test("connectDatabase() fails a query rather than round a count, and goes on", async () => {
  await using database = await createEmptyDatabase();
  const { db } = database;
  await assertRejects(() => db`select 9007199254740993::int8 as count`, RangeError, "9007199254740993");
  const [row] = await db`select 1 as one`;
  assertEquals(row, { one: 1 });
});

Deno.test("transaction() repeats what PostgreSQL asks to repeat, and keeps only the last attempt", async () => {
  await using database = await createEmptyDatabase();
  const { db } = database;
  await db`create table attempts (number integer)`;
  let attempts = 0;
  const result = await transaction(db, async (tx) => {
    attempts++;
    await tx`insert into attempts values (${attempts})`;
    if (attempts < 3) await tx.unsafe(`do $$ begin raise exception using errcode = '40001'; end $$`);
    return ["an array", "as it is"];
  });
  assertEquals(result, ["an array", "as it is"]);
  assertEquals([...await db`select number from attempts`], [{ number: 3 }]);
});

Deno.test("transaction() gives up after five attempts, and at once for other errors", async () => {
  await using database = await createEmptyDatabase();
  const { db } = database;
  for (const [code, expected] of [["40P01", 5], ["P0001", 1]] as const) {
    let attempts = 0;
    const error = await assertRejects(() =>
      transaction(db, (tx) => {
        attempts++;
        return tx.unsafe(`do $$ begin raise exception using errcode = '${code}'; end $$`);
      })
    );
    assertEquals((error as { code?: string }).code, code);
    assertEquals(attempts, expected);
    assertFalse(isDatabaseAway(error));
  }
});

Deno.test("transaction() commits nothing of a transaction whose connection is lost", async () => {
  await using database = await createEmptyDatabase();
  // One connection: the pool opens it again for others while the transaction still believes to have it.
  const db = connectDatabase({ url: database.url, log: silentLogger, max: 1 });
  try {
    await db`create table written (number integer)`;
    const { promise: go, resolve: goOn } = Promise.withResolvers<void>();
    let inner: unknown;
    const outcome = transaction(db, async (tx) => {
      const [session] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
      await tx`insert into written values (1)`;
      await database.db`select pg_terminate_backend(${session!.pid})`;
      await go;
      await tx`insert into written values (2)`.catch((error) => {
        inner = error;
        throw error;
      });
    });
    // Both at once, so that neither's rejection comes before somebody listens.
    const [error] = await Promise.all([
      assertRejects(() => outcome),
      eventually(async () => (await db`select 1 as one`.catch(() => [])).length > 0).then(() => goOn()),
    ]);
    assert(isDatabaseAway(error), String(error));
    await eventually(async () => {
      assertEquals([...await db`select number from written`], []);
    });
    assertEquals(inner, undefined, "the statement must not even be made");
  } finally {
    await db.end({ timeout: 1 });
  }
});

Deno.test("transaction() rolls a savepoint back alone", async () => {
  await using database = await createEmptyDatabase();
  const { db } = database;
  await db`create table written (number integer)`;
  await transaction(db, async (tx) => {
    await tx`insert into written values (1)`;
    await assertRejects(() =>
      tx.savepoint(async (inner) => {
        await inner`insert into written values (2)`;
        throw new Error("not this one");
      })
    );
    await tx`insert into written values (3)`;
  });
  assertEquals([...await db`select number from written order by number`], [{ number: 1 }, { number: 3 }]);
});

Deno.test("a database that is killed and comes back loses and doubles nothing that was repeated", async () => {
  await using server = await startThrowawayPostgres();
  await using database = await createEmptyDatabase({ server });
  const { db } = database;
  await db`create table written (id integer primary key)`;
  let away = 0;
  let written = 0;

  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let row = 0; row < 20; row++) {
      const id = writer * 20 + row;
      for (;;) {
        try {
          await transaction(db, async (tx) => {
            await tx`insert into written values (${id}) on conflict do nothing`;
            // A turn of the event loop inside of the transaction: the connection may close right here.
            await new Promise((resolve) => setTimeout(resolve, 1));
            await tx`select count(*) from written`;
          });
          written++;
          break;
        } catch (error) {
          assert(isDatabaseAway(error), String(error));
          away++;
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }
    }
  });
  const restart = (async () => {
    await eventually(() => written > 40);
    await server.kill();
    await server.restart();
  })();
  await Promise.all([...writers, restart]);

  assert(away > 0, "no writer noticed that the database was away");
  assertEquals([...await db`select count(*) as count from written`], [{ count: 160 }]);
});

Deno.test("waitForDatabase() waits for a server that is not up yet, and says so once", async () => {
  await using server = await startThrowawayPostgres({ durable: false });
  await using database = await createTestDatabase("alert", { server });
  await database.db.end();
  await server.kill();
  const said: string[] = [];
  const log = { ...silentLogger, warn: tell, info: tell } as unknown as typeof silentLogger;
  const db = connectDatabase({ url: database.url, log });
  try {
    const waiting = waitForDatabase(db, log);
    await eventually(() => said.length > 0);
    await server.restart();
    await waiting;
    assertEquals(said, ["Waiting for PostgreSQL", "PostgreSQL answers"]);
  } finally {
    await db.end();
  }

  function tell(_: unknown, message: string) {
    said.push(message);
  }
});

Deno.test("waitForDatabase() waits for a database that somebody is still to make", async () => {
  await using database = await createEmptyDatabase();
  const { user, password, host, port } = parseDatabaseUrl(database.url);
  const url = `postgres://${user}:${password}@/not_made_yet?host=${host}&port=${port}`;
  const db = connectDatabase({ url, log: silentLogger });
  const stop = new AbortController();
  try {
    const waiting = assertRejects(() => waitForDatabase(db, silentLogger, { signal: stop.signal }));
    const reason = new Error("stopped waiting");
    stop.abort(reason);
    assertEquals(await waiting, reason);
  } finally {
    await db.end();
  }
});

Deno.test("isDatabaseAway() looks at the cause, too", () => {
  const gone = Object.assign(new Error("closed"), { code: "CONNECTION_CLOSED" });
  assert(isDatabaseAway(new Error("Cannot store", { cause: gone })));
  assert(isDatabaseAway(Object.assign(new Error("x"), { code: "08006" })));
  assertFalse(isDatabaseAway(Object.assign(new Error("x"), { code: "23505" })));
  assertFalse(isDatabaseAway("ECONNRESET"));
});

Deno.test("isDatabaseAway() tells a full disk and a changed password from what a message may be blamed for", async () => {
  for (const code of ["53100", "53300", "58030", "28P01", "3D000"]) {
    assert(isDatabaseAway(Object.assign(new Error("x"), { code })), code);
  }
  const unreadable = await assertRejects(() => Deno.readFile("/nowhere/at/all"));
  assertFalse(isDatabaseAway(unreadable));
});

Deno.test("isDatabaseAway() knows a socket that is not there", async () => {
  const url = "postgres://role:password@/database?host=/nowhere/at/all&port=5432";
  const db = connectDatabase({ url, log: silentLogger });
  const error = await assertRejects(async () => await db`select 1`);
  assert(isDatabaseAway(error), String(error));
  await db.end();
});
