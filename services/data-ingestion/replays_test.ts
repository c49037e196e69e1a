import { assert, assertEquals, assertRejects } from "@std/assert";
import { AckPolicy } from "@nats-io/jetstream";
import { type CrashPoint, InjectedCrash } from "shared/bus/crash.ts";
import type { Bus } from "shared/bus/connection.ts";
import { publishAll } from "shared/bus/publisher.ts";
import type { CallContext } from "shared/contracts/endpoint.ts";
import { HEADER, type PlatformEvent } from "shared/contracts/envelope.ts";
import { type Replay, startReplay } from "shared/contracts/replay.ts";
import { toInstant } from "shared/contracts/time.ts";
import { connectDatabase, type Database } from "shared/db/connection.ts";
import { createDailyPartitions } from "shared/db/partitions.ts";
import { AppError } from "shared/errors.ts";
import { silentLogger } from "shared/log.ts";
import { startTestBus, type TestBus } from "shared/testing/bus.ts";
import { createTestDatabase, type TestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedMessages } from "shared/testing/streams.ts";
import type { z } from "zod";
import { createReplays, type Replays } from "./replays.ts";
import { createReplayWorker, type ReplayWorker } from "./replay_worker.ts";

interface Copy extends AsyncDisposable {
  replays: Replays;
  worker: ReplayWorker;
  /** How often what is left of a replay was sorted. */
  sessions(): number;
}

interface CopyOptions {
  bus?: Bus;
  crashPoint?: CrashPoint;
  leaseMs?: number;
  clock?: "wall" | "event";
}

/** What a replay needs, and copies of the part of the service that runs it. */
interface World extends AsyncDisposable {
  bus: TestBus;
  db: Database;
  copy(options?: CopyOptions): Promise<Copy>;
}

async function createWorld(topology: { duplicateWindowMs?: number } = {}): Promise<World> {
  const bus = await startTestBus({ topology });
  const database: TestDatabase = await createTestDatabase("data-ingestion");
  return {
    bus,
    db: database.db,
    async copy({ bus: own = bus, crashPoint, leaseMs = 15_000, clock = "event" } = {}) {
      const { db, url } = database;
      let sessions = 0;
      const openSession = () => {
        sessions++;
        return connectDatabase({ url, log: silentLogger, max: 1, keepsSessions: true, name: "replay" });
      };
      const worker = createReplayWorker({
        db,
        openSession,
        bus: own,
        log: silentLogger,
        clockKind: () => Promise.resolve(clock),
        ...(crashPoint === undefined ? {} : { crashPoint }),
      }, { leaseMs });
      const projectOf = (source: string) => Promise.resolve(source === "orders" ? "shop" : undefined);
      await worker.start();
      return {
        worker,
        sessions: () => sessions,
        replays: createReplays({ db, bus: own, projectOf, worker }),
        [Symbol.asyncDispose]: () => worker.stop(),
      };
    },
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
      await bus[Symbol.asyncDispose]();
    },
  };
}

const START_MS = Date.parse("2011-01-01T00:00:00Z");
const MINUTE_MS = 60_000;
/** Of the n-th stored event; two share each minute, and the later ids come first. */
const timeOf = (n: number) => toInstant(START_MS + Math.floor(n / 2) * MINUTE_MS);
const idOf = (n: number) => `o-${n % 2 === 0 ? "b" : "a"}${n}`;

/** Stores events that arrived in another order than they happened in. */
async function storeEvents(db: Database, count: number, source = "orders", first = 0): Promise<void> {
  const arrivedAt = "2026-01-02T03:04:05.678Z";
  const partitions = createDailyPartitions(db, { table: "events", keepDays: 36_500, log: silentLogger });
  await partitions.ensure(new Set([arrivedAt.slice(0, 10)]));
  const rows = Array.from({ length: count }, (_, index) => {
    const n = first + (index * 7_919) % count;
    return {
      source,
      id: idOf(n),
      time: timeOf(n),
      data: { number: n, text: "\u20ac".repeat(n % 5), nested: { b: 1, a: [n, null] } },
    };
  });
  await db`
    insert into events (
      source, id, event_time, known_at, arrived_at, definition, sequence, position, data, actor, traceparent, entity
    )
    select source, id, time, time, ${arrivedAt}, 3, row_number() over (), 0, data, 'till 4', '00-1', 'e-1'
    from json_to_recordset(${JSON.stringify(rows)}::text::json)
      as r (source text, id text, time timestamptz, data json)`;
}

const anonymous: CallContext = { actor: "ann", idempotencyKey: undefined, traceparent: undefined };

type Request = z.input<typeof startReplay.spec.request>;
const start = (copy: Copy, request: Partial<Request> = {}) =>
  copy.replays.start(startReplay.spec.request.parse({ source: "orders", ...request }), anonymous);

const ended = (copy: Copy, run: string): Promise<Replay> =>
  eventually(async () => {
    const replay = await copy.replays.find(run);
    return replay.state !== "running" && replay;
  });

/** What stands on REPLAY for a run. */
async function replayed(bus: Bus, run: string) {
  const messages = (await storedMessages(bus, "REPLAY")).filter(({ subject }) =>
    subject.split(".")[1] === run
  );
  return {
    messages,
    events: messages.flatMap((message) => message.json<PlatformEvent[]>()),
    body: messages.map((message) => message.string()).join(""),
  };
}

const inOrder = (count: number, first = 0) =>
  Array.from({ length: count }, (_, index) => first + index)
    .map((n) => ({ time: timeOf(n), id: idOf(n) }))
    .toSorted((a, b) => `${a.time} ${a.id}` < `${b.time} ${b.id}` ? -1 : 1);

const keysOf = (events: readonly PlatformEvent[]) => events.map(({ time, id }) => ({ time, id }));

Deno.test("a replay publishes a span of a source in the order of (event time, id)", async () => {
  await using world = await createWorld();
  await storeEvents(world.db, 3_000);
  await storeEvents(world.db, 10, "products");
  await using copy = await world.copy();
  const { run, position, startedAt, ...started } = await start(copy, {
    from: timeOf(100),
    until: timeOf(2_600),
  });
  assert(run.startsWith("r-") && position === null && startedAt > "2026");
  assertEquals(started, {
    source: "orders",
    from: timeOf(100),
    until: timeOf(2_600),
    where: null,
    to: "data-preprocessing",
    rate: null,
    pace: null,
    state: "running",
    read: 0,
    published: 0,
    actor: "ann",
    finishedAt: null,
    reason: null,
  });
  const replay = await ended(copy, run);
  assertEquals([replay.state, replay.read, replay.published, replay.reason], ["done", 2_500, 2_500, null]);
  assert(replay.finishedAt !== null);
  const { messages, events } = await replayed(world.bus, run);
  assertEquals(keysOf(events), inOrder(2_500, 100));
  assertEquals(replay.position, inOrder(2_500, 100).at(-1)!);
  assertEquals(events[0], {
    specversion: "1.0",
    id: "o-a101",
    source: "orders",
    type: "microml.ingested.v1",
    time: timeOf(101),
    knownat: timeOf(101),
    definition: 3,
    subject: "e-1",
    actor: "till 4",
    traceparent: "00-1",
    data: { number: 101, text: "\u20ac", nested: { b: 1, a: [101, null] } },
  });
  assertEquals(new Set(messages.map(({ subject }) => subject)), new Set([`replay.${run}.orders`]));
  const [first] = messages;
  assertEquals(
    [HEADER.project, HEADER.run, HEADER.replayTo].map((name) => first!.header.get(name)),
    ["shop", run, "data-preprocessing"],
  );
  // The newest event time published so far.
  for (const message of messages) {
    assertEquals(message.header.get(HEADER.clock), message.json<PlatformEvent[]>().at(-1)!.time);
  }
  assertEquals((await copy.replays.list({ source: "orders", limit: 5 })).map(({ run }) => run), [run]);
  assertEquals(await copy.replays.list({ source: "products", limit: 5 }), []);
});

Deno.test("a replay of the same span gives the same bytes, whichever way it is cut short", async () => {
  await using world = await createWorld({ duplicateWindowMs: 100 });
  await storeEvents(world.db, 4_321);
  await using copy = await world.copy();
  await start(copy, { run: "one" });
  await start(copy, { run: "two" });
  assertEquals([(await ended(copy, "one")).state, (await ended(copy, "two")).state], ["done", "done"]);
  const { messages, body } = await replayed(world.bus, "one");
  assertEquals((await replayed(world.bus, "two")).body, body);
  await copy.worker.stop();

  // Dies after each of its first three messages, and goes on as another copy each time.
  for (let lives = 1; lives <= 3; lives++) {
    let published = 0;
    await using dying = await world.copy({
      leaseMs: 200,
      crashPoint(stage) {
        if (++published === 2) throw new InjectedCrash(stage);
      },
    });
    if (lives === 1) await start(dying, { run: "three" });
    await eventually(() => published === 2);
  }
  await using last = await world.copy({ leaseMs: 200 });
  const replay = await ended(last, "three");
  assertEquals([replay.state, replay.read, replay.published], ["done", 4_321, 4_321]);
  const distinct = new Map(
    (await replayed(world.bus, "three")).messages.map((message) => [
      message.header.get(HEADER.messageId),
      message.string(),
    ]),
  );
  assertEquals([...distinct.values()].join(""), body);
  assertEquals(distinct.size, messages.length);
});

Deno.test("a replay that dies doubles nothing within the deduplication window", async () => {
  await using world = await createWorld();
  await storeEvents(world.db, 2_000);
  let died = false;
  await using dying = await world.copy({
    leaseMs: 200,
    crashPoint(stage) {
      died = true;
      throw new InjectedCrash(stage);
    },
  });
  await start(dying, { run: "one" });
  await eventually(() => died);
  await dying.worker.stop();
  assertEquals((await dying.replays.find("one")).published, 0);
  await using copy = await world.copy();
  await ended(copy, "one");
  assertEquals(keysOf((await replayed(world.bus, "one")).events), inOrder(2_000));
});

Deno.test("a replay publishes what its filter is true for, and looks at the rest", async () => {
  await using world = await createWorld();
  await storeEvents(world.db, 1_000);
  await using copy = await world.copy();
  await start(copy, { run: "some", where: "e.number >= 990 && e.nested.a[0] != 995" });
  await start(copy, { run: "none", where: 'e.missing == "x"' });
  await start(copy, { run: "unfit", where: "e.text * 2 > 1 || e.number == 3" });
  const some = await ended(copy, "some");
  assertEquals([some.state, some.read, some.published], ["done", 1_000, 9]);
  assertEquals(
    (await replayed(world.bus, "some")).events.map(({ data }) => data["number"]).toSorted(),
    [990, 991, 992, 993, 994, 996, 997, 998, 999],
  );
  const none = await ended(copy, "none");
  assertEquals([none.state, none.read, none.published], ["done", 1_000, 0]);
  assertEquals(none.position, inOrder(1_000).at(-1)!);
  assertEquals((await ended(copy, "unfit")).published, 1);
  await assertRejects(() => start(copy, { where: "e.number +" }), AppError, "Cannot compile the expression");
  await assertRejects(() => start(copy, { where: "'text'" }), AppError, "must give true or false");
});

Deno.test("a replay is refused when its source, its span, its name or its consumer is not right", async () => {
  await using world = await createWorld();
  await using copy = await world.copy();
  await assertRejects(
    () => start(copy, { source: "ordres" }),
    AppError,
    'Cannot replay "ordres": it is not defined',
  );
  await assertRejects(
    () => start(copy, { from: timeOf(4), until: timeOf(4) }),
    AppError,
    "from must be before until",
  );
  await start(copy, { run: "one" });
  await assertRejects(() => start(copy, { run: "one" }), AppError, "a name is taken once");
  await assertRejects(
    () => start(copy, { run: "two", to: "consumer" }),
    AppError,
    "nats consumer add REPLAY two --filter=replay.two.orders --pull",
  );
  await assertRejects(() => copy.replays.find("two"), AppError, "there is none of this name");
  await assertRejects(() => copy.replays.cancel("two", anonymous), AppError, "there is none of this name");
});

Deno.test("a replay answers the same to the same idempotency key", async () => {
  await using world = await createWorld();
  await using copy = await world.copy();
  const request = startReplay.spec.request.parse({ source: "orders" });
  const context = { ...anonymous, idempotencyKey: "k" };
  const first = await copy.replays.start(request, context);
  assertEquals(await copy.replays.start(request, context), first);
  assertEquals((await copy.replays.list({ limit: 5 })).length, 1);
});

Deno.test("a replay to a consumer is kept for that consumer, and acknowledged by it", async () => {
  await using world = await createWorld();
  await storeEvents(world.db, 1_200);
  const { bus } = world;
  await bus.jsm.consumers.add("REPLAY", {
    durable_name: "mine",
    filter_subject: "replay.mine.orders",
    ack_policy: AckPolicy.Explicit,
  });
  await using copy = await world.copy();
  await assertRejects(() => start(copy, { run: "other", to: "consumer" }), AppError, "Make one first");
  await start(copy, { run: "mine", to: "consumer" });
  const consumer = await bus.js.consumers.get("REPLAY", "mine");
  const events: PlatformEvent[] = [];
  while (events.length < 1_200) {
    const message = await consumer.next({ expires: 5_000 });
    assert(message !== null && message.headers?.get(HEADER.replayTo) === "consumer");
    events.push(...message.json<PlatformEvent[]>());
    message.ack();
  }
  assertEquals(keysOf(events), inOrder(1_200));
  await ended(copy, "mine");
});

Deno.test("a replay waits while the stream is full, says so, and goes on when there is room", async () => {
  await using world = await createWorld();
  await storeEvents(world.db, 2_000);
  await world.bus.jsm.streams.update("REPLAY", { max_msgs: 2 });
  await using copy = await world.copy({ leaseMs: 300 });
  await start(copy, { run: "one" });
  const waiting = await eventually(async () => {
    const replay = await copy.replays.find("one");
    return replay.reason !== null && replay;
  });
  assertEquals(waiting.state, "running");
  assert(/^waits: .*maximum messages/.test(waiting.reason!), waiting.reason!);
  // Longer than its claim: it is kept meanwhile.
  const { leased_until: before } = (await world.db`select leased_until from replays`)[0]!;
  await eventually(async () =>
    (await world.db`select leased_until from replays`)[0]!["leased_until"] > before
  );
  await world.bus.jsm.streams.update("REPLAY", { max_msgs: -1 });
  const replay = await ended(copy, "one");
  assertEquals([replay.state, replay.published, replay.reason], ["done", 2_000, null]);
  assertEquals(copy.sessions(), 1);
  assertEquals(keysOf((await replayed(world.bus, "one")).events), inOrder(2_000));
});

Deno.test("a replay waits while too much of it is not taken yet", async () => {
  await using world = await createWorld();
  const { bus } = world;
  await storeEvents(world.db, 800);
  await publishAll(
    bus,
    Array.from({ length: 256 }, (_, n) => ({
      subject: "replay.one.orders",
      data: new Uint8Array(),
      messageId: `${n}`,
    })),
  );
  await using copy = await world.copy();
  await start(copy, { run: "two" });
  assertEquals((await ended(copy, "two")).published, 800);
  await start(copy, { run: "one" });
  await eventually(async () => {
    const { reason } = await copy.replays.find("one");
    assertEquals(reason, "waits: 256 messages on replay.one.orders are not taken yet");
  });
  await bus.jsm.streams.purge("REPLAY", { filter: "replay.one.orders", keep: 255 });
  assertEquals((await ended(copy, "one")).published, 800);
});

Deno.test("a replay that is cancelled ends where it is, at once, and stays so", async () => {
  await using world = await createWorld();
  await storeEvents(world.db, 100);
  await using copy = await world.copy();
  // The first record goes at once, the next one in a day.
  await start(copy, { run: "one", pace: 1 / 1_440 });
  await eventually(async () => (await copy.replays.find("one")).published === 2);
  const cancelled = await copy.replays.cancel("one", anonymous);
  assertEquals([cancelled.state, cancelled.published], ["cancelled", 2]);
  assert(cancelled.finishedAt !== null);
  assertEquals(await copy.replays.cancel("one", anonymous), cancelled);
  await copy.worker.stop();
  assertEquals(await copy.replays.find("one"), cancelled);
  assertEquals((await replayed(world.bus, "one")).events.length, 2);
});

Deno.test("a replay is run by one copy at a time, and taken over at once from one that stops", async () => {
  await using world = await createWorld();
  await storeEvents(world.db, 1_000);
  // Nobody waits for the end of such a claim: it is kept, or given up.
  const leaseMs = 600_000;
  const published = async () => (await second.replays.find("one")).published;
  const owner = async () => (await world.db`select owner from replays where run = 'one'`)[0]!["owner"];
  const first = await world.copy({ leaseMs });
  // A message each 100 ms.
  await start(first, { run: "one", rate: 100 });
  await using second = await world.copy({ leaseMs });
  await eventually(async () => await published() >= 10);
  const firstOwner = await owner();
  for (let progress = 20; progress <= 60; progress += 20) {
    second.worker.poke();
    await eventually(async () => await published() >= progress);
    assertEquals(await owner(), firstOwner);
  }
  await first.worker.stop();
  const handedOver = await published();
  assert(handedOver < 1_000);
  second.worker.poke();
  await eventually(async () => await published() > handedOver);
  await second.replays.cancel("one", anonymous);
  const { events } = await replayed(world.bus, "one");
  assertEquals(keysOf(events), inOrder(1_000).slice(0, events.length));
});

Deno.test("a replay goes on when its session with the database is lost", async () => {
  await using world = await createWorld();
  await storeEvents(world.db, 2_000);
  let cut: Promise<unknown> | undefined;
  await using copy = await world.copy({
    crashPoint() {
      cut ??= world.db`
        select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'replay'`;
    },
  });
  await start(copy, { run: "one" });
  const replay = await ended(copy, "one");
  await cut;
  assertEquals([replay.state, replay.read, replay.published], ["done", 2_000, 2_000]);
  assertEquals(keysOf((await replayed(world.bus, "one")).events), inOrder(2_000));
});

Deno.test("a replay fails when no waiting helps, and says why", async () => {
  await using world = await createWorld();
  await storeEvents(world.db, 10);
  await world.bus.jsm.streams.update("REPLAY", { max_msg_size: 64 });
  await using copy = await world.copy();
  await start(copy, { run: "one" });
  const replay = await ended(copy, "one");
  assertEquals([replay.state, replay.published], ["failed", 0]);
  assert(replay.reason!.startsWith("Cannot publish"), replay.reason!);
});
