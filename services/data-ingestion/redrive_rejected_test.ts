import { assert, assertEquals, assertRejects } from "@std/assert";
import type { ClockKind } from "shared/contracts/data_ingestion.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { Database } from "shared/db/connection.ts";
import { createDailyPartitions } from "shared/db/partitions.ts";
import { AppError } from "shared/errors.ts";
import { silentLogger } from "shared/log.ts";
import { createPrivacy, type Privacy } from "shared/privacy.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { compileSource, type Source } from "./domain/source.ts";
import type { IngestDeps } from "./circumstances.ts";
import { type Delivery, ingest } from "./ingest.ts";
import { redriveRejected } from "./redrive_rejected.ts";
import { rejectedPage } from "./rejected.ts";

const ARRIVED = "2026-11-23T12:00:00.000Z";
const privacy = createPrivacy("a key of the tests that is long enough");

interface World {
  db: Database;
  /** Bodies of sources, by name. */
  sources: Record<string, DataRecord>;
  clock?: ClockKind;
  privacy?: Privacy;
}

function depsOf({ db, sources, clock = "wall", ...world }: World): IngestDeps {
  const compiled = new Map(
    Object.entries(sources).map(([name, body]): [string, Source] => [
      name,
      compileSource({ name, project: "shop", version: 1, body: { kind: "events", schema: {}, ...body } }),
    ]),
  );
  return {
    db,
    partitions: createDailyPartitions(db, { table: "events", keepDays: 10_000, log: silentLogger }),
    sources: (names) => Promise.resolve(new Map([...compiled].filter(([name]) => names.has(name)))),
    clockKind: () => Promise.resolve(clock),
    onClocks: () => undefined,
    maxRecordBytes: 900_000,
    privacy: world.privacy,
    keepDays: 10_000,
  };
}

let sequence = 0;
const delivery = (payload: unknown, more: Partial<Delivery> = {}): Delivery => ({
  source: "orders",
  data: new TextEncoder().encode(typeof payload === "string" ? payload : JSON.stringify(payload)),
  headers: {},
  arrivedAt: ARRIVED,
  origin: { sequence: ++sequence },
  ...more,
});

type Redrive = Partial<Parameters<typeof redriveRejected>[1]>;

const redrive = (world: World, request: Redrive = {}, idempotencyKey?: string) =>
  redriveRejected(
    { ingest: depsOf(world), outbox: { poke: () => undefined } },
    { limit: 500, ...request },
    { actor: "ann", idempotencyKey, traceparent: undefined },
  );

const rejectedOf = async (db: Database) => (await rejectedPage(db, { limit: 1_000 })).rejected;
const reasonsIn = async (db: Database) =>
  (await rejectedOf(db)).map(({ reasons }) => reasons.map(({ path, message }) => `${path} ${message}`));
const eventsIn = async (
  db: Database,
) => [
  ...await db`select id, event_time as time, known_at as "knownAt", arrived_at as "arrivedAt", data from events order by id`,
];
const counts = async (db: Database) =>
  (await db`select stored, rejected, duplicates from ledger where source = 'orders'`)[0];

const STRICT = { orders: { schema: { required: ["quantity"] }, id: ["id"] } };
const LAX = { orders: { id: ["id"] } };

Deno.test("redriveRejected() takes in what a mended source accepts, under the old receipt", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const records = [{ id: "a" }, { id: "b", quantity: 1 }, { id: "c" }, { no: "id" }];
  await ingest(depsOf({ db, sources: STRICT }), [delivery(records)]);
  assertEquals(await counts(db), { stored: 1, rejected: 3, duplicates: 0 });

  const reply = await redrive({ db, sources: LAX });
  assertEquals(reply, { stored: 2, duplicates: 0, rejected: 1, next: null });
  assertEquals(await counts(db), { stored: 3, rejected: 1, duplicates: 0 });
  const [a] = await eventsIn(db);
  assertEquals(a, { id: "a", time: ARRIVED, knownAt: ARRIVED, arrivedAt: ARRIVED, data: { id: "a" } });
  assertEquals((await db`select sequence, position from events where id = 'c'`)[0], {
    sequence,
    position: 2,
  });
  assertEquals(await reasonsIn(db), [[
    "/id must be a text, a number or true or false, for it is part of the id",
  ]]);
  const outbox = await db`select subject, convert_from(payload, 'UTF8') as payload from outbox`;
  assertEquals(outbox.map(({ subject }) => subject), ["ingested.orders"]);
  assertEquals(JSON.parse(outbox[0]!["payload"]).map(({ id }: { id: string }) => id), ["a", "c"]);
});

Deno.test("redriveRejected() counts a duplicate as one", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const deps = depsOf({ db, sources: STRICT });
  await ingest(deps, [delivery([{ id: "a" }, { id: "a" }, { id: "b" }]), delivery({ id: "b", quantity: 1 })]);
  const reply = await redrive({ db, sources: LAX });
  assertEquals(reply, { stored: 1, duplicates: 2, rejected: 0, next: null });
  assertEquals(await counts(db), { stored: 2, rejected: 0, duplicates: 2 });
});

Deno.test("redriveRejected() names and reads records as at their arrival", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const strict = { orders: { schema: { required: ["quantity"] }, time: null } };
  const event = {
    specversion: "1.0",
    id: "e-1",
    source: "/t",
    type: "t",
    time: "2011-01-01T00:00:00Z",
    data: {},
  };
  await ingest(depsOf({ db, sources: strict }), [
    delivery({}, { headers: { "Nats-Msg-Id": "m-1" } }),
    delivery([{}, {}], { headers: { "Nats-Msg-Id": "m-2" } }),
    delivery(event),
    delivery({}, {
      headers: {
        "ce-specversion": "1.0",
        "ce-id": "e-2",
        "ce-source": "/t",
        "ce-type": "t",
        "Microml-Actor": "bo",
      },
    }),
    delivery({ file: "f00d", records: [{ line: 7, data: {} }] }, {
      headers: { "Content-Type": "application/vnd.microml.file-records+json" },
    }),
    delivery({}, { origin: { request: "018f3d2e-0000-7000-8000-000000000001" } }),
  ]);
  assertEquals((await rejectedOf(db)).find(({ file }) => file !== null)?.file, { name: "f00d", line: 7 });
  assertEquals((await redrive({ db, sources: { orders: {} } })).stored, 7);
  assertEquals((await eventsIn(db)).map(({ id, time }) => [id, time]), [
    ["STORE/018f3d2e-0000-7000-8000-000000000001/0", ARRIVED],
    ["e-1", "2011-01-01T00:00:00.000Z"],
    ["e-2", ARRIVED],
    ["f00d:7", ARRIVED],
    ["m-1", ARRIVED],
    ["m-2/0", ARRIVED],
    ["m-2/1", ARRIVED],
  ]);
  const outbox = await db`select convert_from(payload, 'UTF8') as payload from outbox`;
  assert(outbox.some(({ payload }) => payload.includes('"actor":"bo"')));
});

Deno.test("redriveRejected() takes one, a selection or pages of all, oldest first", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const world = { db, sources: { ...STRICT, returns: STRICT.orders } };
  await ingest(depsOf(world), [
    delivery([{ id: "a" }, { id: "b" }, { id: "c" }, { id: "d" }]),
    delivery({ id: "x" }, { source: "returns" }),
    delivery({ file: "f00d", records: [{ line: 1, data: { id: "e" } }] }, {
      headers: { "Content-Type": "application/vnd.microml.file-records+json" },
    }),
    delivery("{"),
  ]);
  const numberOf = async (id: string) =>
    (await rejectedOf(db)).find(({ payload }) => (payload as DataRecord)["id"] === id)!.number;
  const lax = { db, sources: { ...LAX, returns: LAX.orders } };
  const ids = async () => (await eventsIn(db)).map(({ id }) => id);

  await redrive(lax, { numbers: [await numberOf("c"), 999_999] });
  assertEquals(await ids(), ["c"]);
  await redrive(lax, { source: "returns" });
  await redrive(lax, { file: "f00d" });
  assertEquals(await ids(), ["c", "e", "x"]);

  const first = await redrive(lax, { source: "orders", path: "/quantity", limit: 2 });
  assertEquals({ stored: first.stored, ids: await ids() }, { stored: 2, ids: ["a", "b", "c", "e", "x"] });
  const second = await redrive(lax, { source: "orders", path: "/quantity", limit: 2, after: first.next! });
  assertEquals(second, { stored: 1, duplicates: 0, rejected: 0, next: null });
  assertEquals((await reasonsIn(db)).length, 1);
});

Deno.test("redriveRejected() comes to an end where nothing can be mended", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const world = { db, sources: STRICT };
  await ingest(depsOf(world), [delivery([{}, {}, {}])]);
  let after: string | undefined;
  let calls = 0;
  do {
    const { next } = await redrive(world, { limit: 2, ...(after && { after }) });
    after = next ?? undefined;
    calls++;
  } while (after !== undefined);
  assertEquals(calls, 2);
  assertEquals(await counts(db), { stored: 0, rejected: 3, duplicates: 0 });
});

Deno.test("redriveRejected() never takes one record twice, however many redrive at once", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const many = Array.from({ length: 60 }, (_, id) => ({ id: String(id) }));
  await ingest(depsOf({ db, sources: STRICT }), [delivery(many)]);
  const world = { db, sources: LAX };
  const replies = await Promise.all(
    Array.from({ length: 4 }, async () => {
      let stored = 0;
      let after: string | undefined;
      do {
        const reply: Awaited<ReturnType<typeof redrive>> = await redrive(world, {
          limit: 7,
          ...(after && { after }),
        });
        stored += reply.stored;
        after = reply.next ?? undefined;
      } while (after !== undefined);
      return stored;
    }),
  );
  assertEquals(replies.reduce((sum, stored) => sum + stored, 0), 60);
  assertEquals(await counts(db), { stored: 60, rejected: 0, duplicates: 0 });
  const published =
    await db`select sum(json_array_length(convert_from(payload, 'UTF8')::json)) as n from outbox`;
  assertEquals(Number(published[0]!["n"]), 60);
});

Deno.test("redriveRejected() answers the same to the same idempotency key", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await ingest(depsOf({ db, sources: STRICT }), [delivery([{ id: "a" }, { id: "b" }])]);
  const world = { db, sources: LAX };
  const [first, second] = await Promise.all([redrive(world, {}, "k-1"), redrive(world, {}, "k-1")]);
  assertEquals(first, { stored: 2, duplicates: 0, rejected: 0, next: null });
  assertEquals(second, first);
  await assertRejects(() => redrive(world, { limit: 1 }, "k-1"), AppError, "was used for another request");
});

Deno.test("redriveRejected() reads lines again by a mended format, those of one text too", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const logs = (pattern: string) => ({ db, sources: { orders: { kind: "logs", format: { pattern } } } });
  // Nobody had defined the source when the first two lines came.
  await ingest(depsOf({ db, sources: {} }), [delivery("INFO one\nwarn two\n")]);
  await ingest(depsOf(logs("(?P<level>[A-Z]+) (?P<text>.*)")), [delivery("INFO three\nwarn four")]);
  assertEquals(await counts(db), { stored: 1, rejected: 2, duplicates: 0 });

  const half = await redrive(logs("(?P<level>[A-Z]+) (?P<text>.*)"));
  assertEquals(half, { stored: 1, duplicates: 0, rejected: 2, next: null });
  assertEquals(await counts(db), { stored: 2, rejected: 2, duplicates: 0 });
  const mended = await redrive(logs("(?P<level>[A-Za-z]+) (?P<text>.*)"));
  assertEquals(mended.stored, 2);
  assertEquals(await counts(db), { stored: 4, rejected: 0, duplicates: 0 });
  const rows =
    await db`select data->>'text' as text, id = 'EVENTS/' || sequence || '/' || position as named from events`;
  assertEquals(rows.map(({ text }) => text).sort(), ["four", "one", "three", "two"]);
  assert(rows.every(({ named }) => named));
});

Deno.test("redriveRejected() does not take in what is not what came", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const world = { db, sources: { orders: {} } };
  await ingest(depsOf(world), [
    delivery('{"n":1e999}'),
    delivery('{"n":1234567890123456789012345}'),
    delivery(`{"n":${"[".repeat(101)}${"]".repeat(101)}}`),
    delivery("", { data: new Uint8Array([0x22, 0xff, 0x22]) }),
  ]);
  const before = await reasonsIn(db);
  assertEquals(before.length, 4);
  assertEquals((await redrive(world)).rejected, 4);
  assertEquals(await reasonsIn(db), before);
});

Deno.test("redriveRejected() does not hold against a record how long it stood rejected", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const late = { ...STRICT.orders, time: "at", lateBound: "P1D" };
  const world: World = { db, sources: { orders: late }, clock: "event" };
  await ingest(depsOf(world), [
    delivery([
      { id: "a", quantity: 1, at: "2011-01-02" },
      { id: "b", at: "2011-01-02" },
      { id: "c", quantity: 1, at: "2011-03-01" },
      { id: "d", quantity: 1, at: "2011-01-02" },
    ]),
  ]);
  const lax: World = { ...world, sources: { orders: { ...late, schema: {} } } };
  assertEquals(await redrive(lax), { stored: 1, duplicates: 0, rejected: 1, next: null });
  assertEquals((await eventsIn(db)).map(({ id }) => id), ["a", "b", "c"]);
});

Deno.test("redriveRejected() opens what is sealed, and seals it again while it can't be read", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const logs = (pattern: string): World => ({
    db,
    privacy,
    sources: { orders: { kind: "logs", format: { pattern }, secrets: { user: "hash" } } },
  });
  await ingest(depsOf(logs("(?P<user>[a-z]+) in")), [delivery("ann left")]);
  const sealedIn = async () => (await db`select sealed, text, data from rejected`)[0]!;
  const { sealed } = await sealedIn();
  assert(sealed.startsWith("sealed:"));
  assertEquals((await rejectedOf(db)).map(({ payload, sealed, cut }) => [payload, sealed, cut]), [[
    null,
    true,
    false,
  ]]);

  assertEquals((await redrive(logs("(?P<user>[a-z]+) out"))).rejected, 1);
  assertEquals((await sealedIn())["text"], null);
  const otherKey = {
    ...logs("(?P<user>[a-z]+) left"),
    privacy: createPrivacy("another key that is long enough, too"),
  };
  assertEquals((await redrive(otherKey)).rejected, 1);
  assert((await reasonsIn(db))[0]![0]!.includes("sealed with another key"));

  const open: World = { ...logs("(?P<user>[a-z]+) left"), sources: { orders: { kind: "logs" } } };
  assertEquals((await redrive(open)).rejected, 1);
  assertEquals((await sealedIn())["sealed"], sealed);

  assertEquals((await redrive(logs("(?P<user>[a-z]+) left"))).stored, 1);
  assertEquals((await eventsIn(db))[0]?.data, { user: privacy.hash("ann") });
});

Deno.test("redriveRejected() judges a protected record as protected", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const schema = { required: ["email", "card"], properties: { email: { maxLength: 9 } } };
  const source = { id: ["email"], secrets: { email: "hash", card: "drop" } };
  const world = (more: DataRecord): World => ({ db, privacy, sources: { orders: { ...source, ...more } } });
  const strict = { ...schema, required: [...schema.required, "quantity"] };
  await ingest(depsOf(world({ schema: strict })), [delivery({ email: "a@b.org", card: "4111" })]);
  assertEquals((await redrive(world({ schema }))).stored, 1);
  assertEquals((await eventsIn(db)).map(({ id, data }) => [id, data]), [
    [privacy.hash("a@b.org"), { email: privacy.hash("a@b.org") }],
  ]);
});

Deno.test("rejectedPage() fits into a message, whatever the records weigh", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const names = Array.from({ length: 120 }, (_, index) => `${index}${"\u00e9".repeat(290)}`);
  const heavy = { ...Object.fromEntries(names.map((name) => [name, 1])), note: "x".repeat(700_000) };
  const quotes = '"'.repeat(500_000);
  const closed = { orders: { schema: { additionalProperties: false } } };
  await ingest(depsOf({ db, sources: closed }), [
    delivery(heavy),
    delivery(quotes),
    delivery({ a: "x".repeat(500_000) }),
  ]);
  const cuts: boolean[] = [];
  let after: string | undefined;
  do {
    const page: Awaited<ReturnType<typeof rejectedPage>> = await rejectedPage(db, {
      limit: 100,
      ...(after && { after }),
    });
    const bytes = new TextEncoder().encode(JSON.stringify(page)).length;
    assert(bytes < 1024 * 1024, `${bytes}`);
    cuts.push(...page.rejected.map(({ cut }) => cut));
    assert(page.rejected.every(({ cut, payload }) => !cut || (payload as string).length === 16_384));
    after = page.next ?? undefined;
  } while (after !== undefined);
  assertEquals(cuts, [false, true, true]);
  const stored = await redrive({ db, sources: { orders: {} } });
  assertEquals({ stored: stored.stored, rejected: stored.rejected }, { stored: 2, rejected: 1 });
});
