import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Outgoing, publishAll } from "../bus/publisher.ts";
import { AppError } from "../errors.ts";
import { silentLogger } from "../log.ts";
import { startTestBus } from "../testing/bus.ts";
import { createTestDatabase } from "../testing/database.ts";
import { eventually } from "../testing/poll.ts";
import { storedMessages } from "../testing/streams.ts";
import { type Database, transaction } from "./connection.ts";
import { createOutbox, enqueue } from "./outbox.ts";

// Of the streams that keep by limits: what was published can be looked at.
function message(number: number): Outgoing {
  return {
    subject: "predictions.churn",
    data: new TextEncoder().encode(String(number)),
    headers: { number: String(number) },
    messageId: `churn.${number}`,
  };
}

const messages = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => message(from + index));

async function published(bus: Parameters<typeof storedMessages>[0]): Promise<number[]> {
  return (await storedMessages(bus, "PREDICTIONS")).map((stored) =>
    Number(new TextDecoder().decode(stored.data))
  );
}

async function waiting(db: Database): Promise<number> {
  const [row] = await db<{ count: number }[]>`select count(*) as count from outbox`;
  return row!.count;
}

const range = (to: number) => Array.from({ length: to }, (_, index) => index + 1);

Deno.test("createOutbox() publishes what was committed, in order, whole, and nothing that was rolled back", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  const { db } = database;
  const outbox = createOutbox(db, bus, silentLogger);
  await outbox.start();
  try {
    await transaction(db, (tx) => enqueue(tx, messages(1, 1_200)));
    await assertRejects(() =>
      transaction(db, async (tx) => {
        await enqueue(tx, messages(5_000, 5_001));
        throw new Error("no");
      })
    );
    outbox.poke();
    await transaction(db, (tx) => enqueue(tx, messages(1_201, 1_210)));
    await eventually(async () => assertEquals(await waiting(db), 0));
    assertEquals(await published(bus), range(1_210));
    const [first] = await storedMessages(bus, "PREDICTIONS");
    assertEquals(first?.header.get("number"), "1");
    assertEquals(first?.header.get("Nats-Msg-Id"), "churn.1");
  } finally {
    await outbox.stop();
  }
});

Deno.test("createOutbox() publishes once what was published before a crash and not deleted", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  const { db } = database;
  await transaction(db, (tx) => enqueue(tx, messages(1, 20)));
  // As the copy did that died between the acknowledgement and the deletion.
  await publishAll(bus, messages(1, 12));
  const outbox = createOutbox(db, bus, silentLogger);
  await outbox.start();
  try {
    await eventually(async () => assertEquals(await waiting(db), 0));
    assertEquals(await published(bus), range(20));
  } finally {
    await outbox.stop();
  }
});

Deno.test("createOutbox() relays by one copy at a time, whoever is poked", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  const { db } = database;
  const copies = [1, 2, 3].map(() => createOutbox(db, bus, silentLogger));
  for (const copy of copies) await copy.start();
  try {
    for (const number of range(60)) {
      await transaction(db, (tx) => enqueue(tx, [message(number)]));
      copies[number % 3]!.poke();
    }
    await eventually(async () => assertEquals(await waiting(db), 0));
    assertEquals(await published(bus), range(60));
  } finally {
    for (const copy of copies) await copy.stop();
  }
});

Deno.test("createOutbox() waits for NATS, one copy with the lock, and goes on when it is back", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  const { db } = database;
  let complaints = 0;
  const log = Object.assign(Object.create(silentLogger), { warn: () => complaints++ });
  const copies = [createOutbox(db, bus, log), createOutbox(db, bus, log)];
  for (const copy of copies) await copy.start();
  try {
    await bus.server.kill();
    await transaction(db, (tx) => enqueue(tx, messages(1, 3)));
    for (const copy of copies) copy.poke();
    await eventually(async () => {
      const locks = await db`
        select from pg_locks
        where locktype = 'advisory' and granted
          and database = (select oid from pg_database where datname = current_database())`;
      assertEquals(locks.length, 1);
    });
    await eventually(() => complaints > 0);
    assertEquals(await waiting(db), 3);
    await bus.server.restart();
    await eventually(async () => assertEquals(await waiting(db), 0), { timeoutMs: 40_000 });
    assertEquals(await published(bus), [1, 2, 3]);
  } finally {
    for (const copy of copies) await copy.stop();
  }
});

Deno.test("enqueue() refuses a message that NATS would refuse for ever", async () => {
  await using database = await createTestDatabase("alert");
  const { db } = database;
  const error = await assertRejects(
    () => transaction(db, (tx) => enqueue(tx, [{ ...message(1), data: new Uint8Array(1024 * 1024) }])),
    AppError,
    "1048576 bytes",
  );
  assertEquals(error.code, "too_large");
  assert(await waiting(db) === 0);
});
