import { assertEquals, assertRejects } from "@std/assert";
import type { Instant } from "shared/contracts/time.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import { createDailyPartitions } from "shared/db/partitions.ts";
import { silentLogger } from "shared/log.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { createRetention, type KeptSource, type RetentionDeps, sweep } from "./retention.ts";

const WEEKLY: KeptSource = { name: "clicks", body: { retention: "P7D" } };
const FOREVER: KeptSource = { name: "orders", body: {} };

const depsOf = (db: Database, sources: KeptSource[] = [WEEKLY, FOREVER]): RetentionDeps => ({
  db,
  sources: () => sources,
  keepDays: 30,
  log: silentLogger,
});

const NOW = new Date("2026-03-31T12:00:00.000Z");
const NEXT_DAY = new Date("2026-04-01T00:00:01.000Z");
/** Days before NOW, at the same time of day. */
const ago = (days: number): Instant => new Date(NOW.getTime() - days * 86_400_000).toISOString();
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

interface Arrival {
  source: string;
  arrivedAt: Instant;
  /** Records of a message of their own. */
  records?: number;
}

/** Writes what the intake would have: events with their keys, rejects and duplicates, counted in the ledger. */
async function arrive(db: Database, arrivals: readonly Arrival[]): Promise<void> {
  const days = new Set(arrivals.map(({ arrivedAt }) => arrivedAt.slice(0, 10)));
  await createDailyPartitions(db, { table: "events", keepDays: 30, log: silentLogger }).ensure(days);
  for (const { source, arrivedAt, records = 1 } of arrivals) {
    const place = db`${source}, n, ${arrivedAt}::timestamptz from generate_series(1, ${records}) as n`;
    await db`
      insert into events (sequence, definition, id, event_time, known_at, data, source, position, arrived_at)
      select 1, 1, ${arrivedAt} || n, now(), now(), '{}', ${place}`;
    await db`
      insert into event_keys (sequence, id, source, position, arrived_at)
      select 1, ${arrivedAt} || n, ${place}`;
    await db`
      insert into rejected (request, reasons, data, source, position, arrived_at)
      select gen_random_uuid(), '[]', '{}', ${place}`;
    await db`
      insert into duplicates (request, id, source, position, arrived_at)
      select gen_random_uuid(), 'a', ${place}`;
    await db`
      insert into ledger (source, day, received, stored, rejected, duplicates)
      values (${source}, ${arrivedAt.slice(0, 10)}, ${3 * records}, ${records}, ${records}, ${records})
      on conflict (source, day) do update
      set received = ledger.received + excluded.received, stored = ledger.stored + excluded.stored,
        rejected = ledger.rejected + excluded.rejected, duplicates = ledger.duplicates + excluded.duplicates`;
  }
}

/** What a table has left, as `source day`. */
async function left(db: Database, table: string): Promise<string[]> {
  const rows = await db<{ row: string }[]>`
    select source || ' ' || to_char(arrived_at at time zone 'UTC', 'MM-DD') as row
    from ${db(table)} order by row`;
  return rows.map(({ row }) => row);
}

/** A sweep that waited for this transaction would wait for ever: then the server ends it. */
const failRatherThanHang = (tx: Transaction) => tx`set local idle_in_transaction_session_timeout = '20s'`;

Deno.test("sweep() removes of each source what is past its retention, and nothing else", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await arrive(db, [
    { source: "clicks", arrivedAt: ago(6.99) },
    { source: "clicks", arrivedAt: ago(7.01) },
    { source: "clicks", arrivedAt: ago(13.5), records: 3 },
    { source: "orders", arrivedAt: ago(13.5) },
    { source: "orders", arrivedAt: ago(29) },
    { source: "gone", arrivedAt: ago(29) },
    { source: "gone", arrivedAt: ago(31) },
  ]);
  const removed = await sweep(depsOf(db), { now: NOW });

  assertEquals(removed, {
    events_20260228: 1,
    events_20260318: 3,
    events_20260324: 1,
    rejected: 5,
    duplicates: 5,
  });
  const kept = ["clicks 03-24", "gone 03-02", "orders 03-02", "orders 03-18"];
  for (const table of ["events", "rejected", "duplicates"]) assertEquals(await left(db, table), kept, table);
  // What was accepted stays counted.
  assertEquals(
    [...await db`select source, sum(stored)::int as stored, sum(removed)::int as removed from ledger group by 1 order by 1`],
    [
      { source: "clicks", stored: 5, removed: 4 },
      { source: "gone", stored: 2, removed: 1 },
      { source: "orders", stored: 2, removed: 0 },
    ],
  );
  assertEquals(await sweep(depsOf(db), { now: NOW }), {});
});

Deno.test("sweep() follows a retention that has changed, from the next day on", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await arrive(db, [{ source: "clicks", arrivedAt: ago(8) }, { source: "clicks", arrivedAt: ago(5) }]);
  await sweep(depsOf(db), { now: NOW });
  const shorter = depsOf(db, [{ name: "clicks", body: { retention: "PT6H" } }]);
  assertEquals(await sweep(shorter, { now: NEXT_DAY }), {
    events_20260326: 1,
    // Of the event that arrived a week before the horizon.
    event_keys: 1,
  });
  assertEquals(await left(db, "events"), []);
});

Deno.test("sweep() keeps the key of an event for its horizon, and for as long as a message may have waited", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const days = [1, 8.9, 9.1, 29, 36.9, 37.1];
  await arrive(db, [
    ...days.map((day) => ({ source: "clicks", arrivedAt: ago(day) })),
    ...days.map((day) => ({ source: "orders", arrivedAt: ago(day) })),
  ]);
  const short: KeptSource = { name: "clicks", body: { duplicateHorizon: "P2D" } };
  const removed = await sweep(depsOf(db, [short, FOREVER]), { now: NOW });
  assertEquals(removed["event_keys"], 5);
  const kept = ["clicks 03-22", "clicks 03-30"];
  assertEquals(await left(db, "event_keys"), [
    ...kept,
    "orders 02-22",
    "orders 03-02",
    "orders 03-22",
    "orders 03-22",
    "orders 03-30",
  ]);
});

Deno.test("sweep() keeps the newest state of each entity, whatever its age", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await arrive(db, [{ source: "clicks", arrivedAt: ago(20) }]);
  const states = [
    { source: "clicks", entity: "a", event_time: ago(20), id: "a1", arrived_at: ago(20) },
    { source: "clicks", entity: "a", event_time: ago(19), id: "a2", arrived_at: ago(19) },
    { source: "clicks", entity: "a", event_time: ago(1), id: "a3", arrived_at: ago(1) },
    { source: "clicks", entity: "b", event_time: ago(20), id: "b1", arrived_at: ago(20) },
    { source: "clicks", entity: "c", event_time: ago(15), id: "c2", arrived_at: ago(19) },
    // Of an earlier time, but it came when it is not past the retention yet.
    { source: "clicks", entity: "c", event_time: ago(18), id: "c1", arrived_at: ago(2) },
    { source: "orders", entity: "a", event_time: ago(20), id: "o1", arrived_at: ago(20) },
    { source: "orders", entity: "a", event_time: ago(10), id: "o2", arrived_at: ago(10) },
  ].map((state) => ({ ...state, known_at: state.arrived_at, data: "{}" }));
  await db`insert into entity_states ${db(states)}`;

  assertEquals((await sweep(depsOf(db), { now: NOW }))["entity_states"], 2);
  const rows = await db<{ id: string }[]>`select id from entity_states order by id`;
  assertEquals(rows.map(({ id }) => id), ["a3", "b1", "c1", "c2", "o1", "o2"]);
});

Deno.test("sweep() keeps what makes a dead letter count once while its message may come again", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const daily: KeptSource = { name: "clicks", body: { retention: "P1D" } };
  await arrive(db, [{ source: "clicks", arrivedAt: ago(8) }]);
  for (const day of [2, 6.9, 7.1]) {
    await db`insert into dead_letters (sequence, arrived_at, source) values (1, ${ago(day)}, 'clicks')`;
  }
  assertEquals((await sweep(depsOf(db, [daily]), { now: NOW }))["dead_letters"], 1);
});

Deno.test("sweep() keeps what makes a reject and a duplicate count once while their message may come again", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const daily: KeptSource = { name: "clicks", body: { retention: "P1D" } };
  await arrive(db, [2, 6.9, 7.1].map((days) => ({ source: "clicks", arrivedAt: ago(days) })));
  await sweep(depsOf(db, [daily]), { now: NOW });
  for (const table of ["rejected", "duplicates"]) {
    assertEquals(await left(db, table), ["clicks 03-24", "clicks 03-29"], table);
  }
  assertEquals(await left(db, "events"), []);
});

Deno.test("sweep() goes on where it broke off", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await arrive(db, [{ source: "clicks", arrivedAt: ago(10), records: 2_000 }]);
  await db`
    create function fail() returns trigger language plpgsql as $$ begin raise 'broken off'; end $$`;
  await db`
    create trigger fails before delete on rejected for each row when (old.position = 1000)
    execute function fail()`;
  await assertRejects(() => sweep(depsOf(db), { now: NOW, blocks: 1 }), Error, "broken off");
  const [broken] = await db<{ block: number; done: boolean; rows: number }[]>`
    select block, done, (select count(*) from rejected) as rows from retention_passes where name = 'rejected'`;
  assertEquals([broken!.block > 0, broken!.done, broken!.rows > 1_000], [true, false, true]);

  await db`drop trigger fails on rejected`;
  // Even on the next day the old pass comes to its end first, and does not begin again.
  await db`insert into rejected (request, reasons, data, source, position, arrived_at)
    select gen_random_uuid(), '[]', '{}', 'orders', n, now() from generate_series(1, 10) as n`;
  const removed = await sweep(depsOf(db), { now: NEXT_DAY, blocks: 1 });
  assertEquals(removed["rejected"], broken!.rows);
  const [ended] = await db<{ day: string; done: boolean }[]>`
    select day, done from retention_passes where name = 'rejected'`;
  assertEquals({ ...ended }, { day: "2026-03-31", done: true });
});

Deno.test("sweep() by several copies at once removes each row once, and counts it once", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await arrive(db, [
    { source: "clicks", arrivedAt: ago(10), records: 3_000 },
    { source: "orders", arrivedAt: ago(10), records: 100 },
  ]);
  const removed = await Promise.all(numbers(3).map(() => sweep(depsOf(db), { now: NOW, blocks: 2 })));
  for (const table of ["events_20260321", "rejected", "duplicates"]) {
    assertEquals(removed.reduce((sum, of) => sum + (of[table] ?? 0), 0), 3_000, table);
  }
  assertEquals((await left(db, "events")).length, 100);
  const rows = await db<{ removed: number }[]>`select removed from ledger order by source`;
  assertEquals(rows.map(({ removed }) => removed), [3_000, 0]);
});

Deno.test("sweep() leaves a table alone that another copy is at", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await arrive(db, [{ source: "clicks", arrivedAt: ago(10), records: 3 }]);
  await db`insert into retention_passes (name, day) values ('rejected', '2026-03-31')`;
  await db.begin(async (tx) => {
    await failRatherThanHang(tx);
    await tx`select from retention_passes where name = 'rejected' for update`;
    assertEquals(await sweep(depsOf(db), { now: NOW }), { events_20260321: 3, duplicates: 3 });
  });
  assertEquals(await sweep(depsOf(db), { now: NOW }), { rejected: 3 });
});

Deno.test("sweep() does not wait for rows that others hold, and removes them a day later", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await arrive(db, [{ source: "clicks", arrivedAt: ago(10), records: 3 }]);
  await db.begin(async (tx) => {
    await failRatherThanHang(tx);
    await tx`select from rejected where position = 2 for update`;
    assertEquals((await sweep(depsOf(db), { now: NOW }))["rejected"], 2);
  });
  assertEquals(await sweep(depsOf(db), { now: NOW }), {});
  assertEquals(await sweep(depsOf(db), { now: NEXT_DAY }), { rejected: 1 });
});

Deno.test("sweep() looks at no table where nothing is old, and forgets the passes over dropped partitions", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await arrive(db, [{ source: "clicks", arrivedAt: ago(10) }]);
  await sweep(depsOf(db, []), { now: NOW });
  assertEquals([...await db`select from retention_passes`].length, 0);

  await sweep(depsOf(db), { now: NOW });
  const names = async () =>
    (await db<{ name: string }[]>`select name from retention_passes order by name`).map(({ name }) => name);
  assertEquals(await names(), [
    "dead_letters",
    "duplicates",
    "entity_states",
    "events_20260321",
    "rejected",
    "removed_messages",
  ]);
  // A partition that has lost all that it should is not looked at again.
  await sweep(depsOf(db), { now: NEXT_DAY });
  const days = await db<{ day: string }[]>`
    select day from retention_passes where name in ('events_20260321', 'rejected') order by name`;
  assertEquals(days.map(({ day }) => day), ["2026-03-31", "2026-04-01"]);

  await db`drop table events_20260321`;
  await sweep(depsOf(db), { now: NOW });
  assertEquals(await names(), [
    "dead_letters",
    "duplicates",
    "entity_states",
    "rejected",
    "removed_messages",
  ]);
});

Deno.test("createRetention() sweeps when it starts", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const old = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();
  await arrive(db, [{ source: "clicks", arrivedAt: old(10) }, { source: "clicks", arrivedAt: old(1) }]);
  const retention = createRetention(depsOf(db));
  await retention.start();
  await eventually(async () => assertEquals((await left(db, "duplicates")).length, 1));
  await retention.stop();
  assertEquals((await left(db, "events")).length, 1);
});
