import { assertEquals } from "@std/assert";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import { type Database, transaction } from "shared/db/connection.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { createHistory, createLayout } from "../domain/history.ts";
import { selectRecords } from "../domain/selection.ts";
import {
  countKeys,
  insertRecords,
  readHistories,
  readKeyRanges,
  readKeysAfter,
  readKnown,
  readLaidOutHistories,
  readNewestTimes,
  type RecordRow,
} from "./records.ts";

const START = Date.parse("2011-05-02T08:26:00.123Z");
const at = (seconds: number): Instant => toInstant(START + seconds * 1_000);

const row = (id: string, more: Partial<RecordRow> = {}): RecordRow => ({
  source: "orders",
  id,
  definition: 1,
  entity: "customer",
  entityKey: '["1"]',
  eventTime: at(0),
  knownAt: at(0),
  data: JSON.stringify({ amount: 1.5, note: "a" }),
  retracted: false,
  ...more,
});

const store = (db: Database, rows: readonly RecordRow[]) => transaction(db, (tx) => insertRecords(tx, rows));

const customer = {
  entity: "customer",
  source: "orders",
  keys: ['["1"]', '["2"]'],
  fields: undefined,
} as const;

Deno.test("insertRecords() stores more rows than go into one statement, and readKnown() finds them", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  const rows = Array.from({ length: 11_000 }, (_, index) => row(String(index)));
  await store(db, [...rows, row("7", { definition: 2 }), row("7", { source: "visits" })]);
  const known = await transaction(
    db,
    (tx) => readKnown(tx, [...rows, { source: "visits", id: "7" }, { source: "visits", id: "8" }]),
  );
  assertEquals(known.length, 11_002);
  const { data: _, ...expected } = row("7", { source: "visits" });
  assertEquals(known.at(-1), expected);
});

Deno.test("readHistories() gives records by entity, in order, within the times asked", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  await store(db, [
    row("b", { eventTime: at(10) }),
    row("a", { eventTime: at(10) }),
    row("a", { eventTime: at(10), definition: 2, knownAt: at(99) }),
    row("c", { eventTime: at(5), data: '{"amount":null}' }),
    row("d", { eventTime: at(20) }),
    row("e", { entityKey: '["2"]' }),
    row("f", { entityKey: '["3"]' }),
    row("g", { source: "visits" }),
  ]);
  const ids = async (query: { after?: number; until?: number; knownBy?: number }) =>
    [...await readHistories(db, { ...customer, ...query })].map(([key, records]) => [
      key,
      records.map(({ id, definition }) => `${id}${definition}`).join(" "),
    ]);
  assertEquals(await ids({}), [['["1"]', "c1 a1 a2 b1 d1"], ['["2"]', "e1"]]);
  assertEquals(await ids({ after: START + 5_000, until: START + 10_000 }), [['["1"]', "a1 a2 b1"]]);
  assertEquals(await ids({ after: START + 5_000, until: START + 20_000, knownBy: START }), [[
    '["1"]',
    "a1 b1 d1",
  ]]);

  const [first] = (await readHistories(db, customer)).get('["1"]')!;
  assertEquals(first, {
    time: START + 5_000,
    knownAt: START,
    id: "c",
    definition: 1,
    data: { amount: null },
  });
});

Deno.test("readHistories() reads only the fields asked", async () => {
  await using database = await createTestDatabase("feature-store");
  await store(database.db, [
    row("a", { data: JSON.stringify({ amount: 2, note: "x", "odd \"name'": [1, { a: null }] }) }),
  ]);
  const dataOf = async (fields: string[]) =>
    (await readHistories(database.db, { ...customer, fields })).get('["1"]')![0]!.data;
  assertEquals(await dataOf(["amount", "odd \"name'", "none"]), {
    amount: 2,
    "odd \"name'": [1, { a: null }],
    none: null,
  });
  assertEquals(await dataOf([]), {});
  // More than a function of PostgreSQL takes: the record as it is.
  const many = Array.from({ length: 51 }, (_, index) => `field_${index}`);
  assertEquals((await dataOf([...many, "amount"]))["amount"], 2);
});

Deno.test("readLaidOutHistories() gives the histories of the records", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  await store(db, [
    row("b", { data: JSON.stringify({ amount: 2.25, note: 'two "words"', deep: { amount: 9 } }) }),
    row("a", { eventTime: at(5), knownAt: at(9) }),
    row("a", { eventTime: at(5), knownAt: at(20), definition: 2, retracted: true, data: "{}" }),
    row("c", { entityKey: '["2"]', data: JSON.stringify({ amount: true }) }),
  ]);
  const layout = createLayout();
  const [amount, note] = [layout.field("amount"), layout.field("note")];
  const filters = [-1, layout.filter("e.amount > 2.0")];
  const laidOut = await readLaidOutHistories(db, { ...customer, layout });
  const records = await readHistories(db, customer);
  assertEquals([...laidOut.keys()], [...records.keys()]);
  for (const [key, history] of laidOut) {
    const { times, knownAt, ids, revises, retracted, lane, value } = history;
    const expected = createHistory(layout, records.get(key)!);
    assertEquals(
      { times, knownAt, ids, revises, retracted },
      {
        times: expected.times,
        knownAt: expected.knownAt,
        ids: expected.ids,
        revises: expected.revises,
        retracted: expected.retracted,
      },
    );
    assertEquals(filters.map(lane), filters.map(expected.lane));
    for (const position of ids.keys()) {
      assertEquals(
        [value(amount, position), value(note, position)],
        [expected.value(amount, position), expected.value(note, position)],
      );
    }
  }
  const all = { after: -Infinity, until: Infinity, knownBy: Infinity, filter: filters[1]! };
  assertEquals([...selectRecords(laidOut.get('["1"]')!, all)], [0]);
});

Deno.test("readHistories() takes bounds outside the calendar", async () => {
  await using database = await createTestDatabase("feature-store");
  await store(database.db, [row("a")]);
  const read = async (query: { after?: number; until?: number }) =>
    (await readHistories(database.db, { ...customer, ...query })).size;
  assertEquals(await read({ after: -1e17, until: 1e17 }), 1);
  assertEquals(await read({ after: Date.parse("-000100-01-01T00:00:00.000Z") }), 1);
  assertEquals(await read({ until: Date.parse("0000-01-01T00:00:00.000Z") }), 0);
  assertEquals(await read({ after: Date.parse("+010000-01-01T00:00:00.000Z") }), 0);
});

Deno.test("readNewestTimes() finds the newest record known by a time", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  await store(db, [
    row("a", { eventTime: at(1) }),
    row("b", { eventTime: at(2) }),
    row("c", { eventTime: at(3), knownAt: at(50) }),
    row("d", { eventTime: at(60), entityKey: '["2"]' }),
  ]);
  const newest = (seconds: number) => {
    const until = START + seconds * 1_000;
    return readNewestTimes(db, { ...customer, until, knownBy: until });
  };
  assertEquals(await newest(10), new Map([['["1"]', START + 2_000]]));
  assertEquals(await newest(70), new Map([['["1"]', START + 3_000], ['["2"]', START + 60_000]]));
  assertEquals(await newest(0), new Map());
});

Deno.test("readKeysAfter() pages through the entities of a source", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  const keys = ['["10"]', '["1"]', '["2"]', '["\u00e4"]'];
  await store(
    db,
    keys.flatMap((key) => [row(`a${key}`, { entityKey: key }), row(`b${key}`, { entityKey: key })]),
  );
  await store(db, [row("v", { source: "visits", entityKey: '["0"]' })]);
  const page = (after: string) =>
    readKeysAfter(db, { entity: "customer", source: "orders", after, limit: 3 });
  assertEquals(await page(""), ['["1"]', '["10"]', '["2"]']);
  assertEquals(await page('["2"]'), ['["\u00e4"]']);
  assertEquals(await page('["\u00e4"]'), []);
  assertEquals(await countKeys(db, { entity: "customer", source: "orders" }), 4);
});

Deno.test("readKeyRanges() divides the entities of a source by the number of their records", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  const rows = [1, 1, 6, 2, 2].flatMap((records, key) =>
    Array.from({ length: records }, (_, index) => row(`${key}-${index}`, { entityKey: `["${key}"]` }))
  );
  await store(db, rows);
  const read = (most: number, least = 1) =>
    readKeyRanges(db, { entity: "customer", source: "orders", most, least });
  assertEquals([...await read(1)], [{ upTo: '["4"]', keys: 5, records: 12 }]);
  assertEquals([...await read(2)], [
    { upTo: '["1"]', keys: 2, records: 2 },
    { upTo: '["4"]', keys: 3, records: 10 },
  ]);
  // Fewer where they would be too small, and one in any case.
  assertEquals([...await read(3, 6)], [...await read(2)]);
  assertEquals([...await read(3, 6.5)], [...await read(1)]);
  assertEquals([...await read(3, 1_000)], [...await read(1)]);
  const none = { entity: "customer", source: "none", most: 2, least: 1 };
  assertEquals([...await readKeyRanges(db, none)], []);
});
