import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readBucket } from "shared/bus/bucket.ts";
import type { Bus } from "shared/bus/connection.ts";
import * as contract from "shared/contracts/data_preprocessing.ts";
import { recordSchema } from "shared/contracts/envelope.ts";
import { BUCKET, STREAM } from "shared/contracts/streams.ts";
import { crashPointSuite } from "shared/testing/crash_points.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import { startTestBus } from "shared/testing/bus.ts";
import {
  at,
  cleanEvents,
  type CleaningInput,
  counted,
  define,
  event,
  eventuallyClean,
  ingest,
  messagesOf,
  notZero,
  sold,
  start,
} from "./testing/orders.ts";

/** Pure, so that only the block makes it go out by the outbox. */
const BLOCKING: CleaningInput = {
  expectations: [{ expect: "range", field: "price", min: 0, action: "block" }],
};
/** Remembers, too. */
const BLOCKING_UNIQUE: CleaningInput = {
  expectations: [{ expect: "unique", fields: ["invoice"], within: "P1D", action: "block" }],
};

const order = (id: string, price: number, time = "10:00") => event(id, { price }, { time: at(time) });

const blocks = async (service: TestService) => (await service.call(contract.listBlocks, {})).blocks;
const release = (service: TestService, idempotencyKey = "a") =>
  service.call(contract.releaseBlock, { source: "orders", reason: "looked at" }, {
    actor: "ann",
    idempotencyKey,
  });
const entry = (bus: Bus) => readBucket(bus, BUCKET.blocks, "orders", recordSchema);

async function signals(bus: Bus): Promise<string[]> {
  const messages = await messagesOf(bus, STREAM.signals);
  return messages.map(({ subject, events: [signal] }) => `${subject} ${signal!.data["status"]}`);
}

const metric = async (service: TestService, name: string) =>
  (await (await fetch(`${service.url}/metrics`)).text()).split("\n").find((line) => line.startsWith(name));

Deno.test("a record that blocks for very many reasons is told of in short", async () => {
  await using service = await start();
  const fields = Array.from({ length: 3_000 }, (_, n) => `${"field".repeat(40)} ${n}`);
  await define(service, { expectations: [{ expect: "not_null", fields, action: "block" }] });
  await ingest(service.bus, [order("1", 1)]);
  assertEquals(notZero(await counted(service, 1)), { received: 1, quarantined: 1 });
  const [{ reasons }] = await blocks(service) as [contract.Block];
  assertEquals(reasons.map(({ length }) => length), [1_000]);
});

Deno.test("a record that blocks holds all of its source that comes after it, and tells why", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, BLOCKING);
  await ingest(bus, [order("1", 1), order("2", -1, "10:30"), order("3", 3), order("4", -4, "09:00")]);
  await counted(service, 4);
  await ingest(bus, [order("5", 5), order("3", 3)]);
  await ingest(bus, [event("x", {}, { source: "visits" })]);
  // Another source goes on.
  await eventuallyClean(bus, ["x"], undefined, "visits");
  assertEquals(notZero(await counted(service, 6)), {
    received: 6,
    clean: 1,
    quarantined: 1,
    duplicates: 1,
    held: 3,
  });
  await eventuallyClean(bus, ["1"]);
  const [block] = await blocks(service);
  const { at: blockedAt, ...rest } = block!;
  assert(blockedAt > "2026");
  const told = {
    source: "orders",
    project: "shop",
    since: at("10:30"),
    reasons: ["/price must be at least 0, not -1"],
  };
  assertEquals(rest, { ...told, held: 3 });
  await eventually(async () => assertEquals(await signals(bus), ["signals.quality.source.orders breach"]));
  // Said once when it begins, and again whenever the bus may have lost it: what is held by then differs.
  const { held: _, ...announced } = (await entry(bus))!;
  assertEquals(announced, { ...told, at: blockedAt });
  await eventually(async () => {
    assertEquals(
      await metric(service, "microml_preprocessing_held_records"),
      'microml_preprocessing_held_records{source="orders"} 3',
    );
    assertEquals(
      await metric(service, "microml_preprocessing_blocked_sources"),
      "microml_preprocessing_blocked_sources 1",
    );
  });
});

Deno.test("release-block lets held records go on in order, up to the next one that blocks", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, BLOCKING);
  await ingest(bus, [order("1", -1), order("2", 2)]);
  await counted(service, 2);
  await ingest(bus, [order("3", 3), order("4", -4, "09:00"), order("5", 5)]);
  await counted(service, 5);
  assertEquals(await release(service), { released: true, held: 4 });
  // Held again, from the fourth on.
  await eventually(async () => {
    const [block] = await blocks(service);
    assertEquals([block?.held, block?.since], [1, at("09:00")]);
    assertEquals(block?.reasons, ["/price must be at least 0, not -1", "/price must be at least 0, not -4"]);
  });
  await eventuallyClean(bus, ["2", "3"]);
  // The same key is the same release.
  assertEquals(await release(service), { released: true, held: 4 });
  assertEquals((await blocks(service)).length, 1);

  await define(service, {});
  assertEquals(await release(service, "b"), { released: true, held: 1 });
  await eventually(async () => assertEquals(await blocks(service), []));
  assertEquals(notZero(await counted(service, 5)), { received: 5, clean: 3, quarantined: 2 });
  assertEquals((await cleanEvents(bus)).map(({ id }) => id), ["2", "3", "5"]);
  await ingest(bus, [order("6", -6)]);
  await eventuallyClean(bus, ["2", "3", "5", "6"]);
  await eventually(async () =>
    assertEquals(await signals(bus), [
      "signals.quality.source.orders breach",
      "signals.quality.source.orders ok",
    ])
  );
  assertEquals(await entry(bus), undefined);
  assertEquals(await release(service, "c"), { released: false, held: 0 });
});

Deno.test("the end of a block is no good news while something else of the source is wrong", async () => {
  await using service = await start();
  const { bus, db } = service;
  await define(service, BLOCKING);
  await ingest(bus, [order("1", -1)]);
  await counted(service, 1);
  await db`
    insert into source_concerns (source, kind, concern, message, since)
    values ('orders', 'quality', 'volume', 'too few', now())`;
  await release(service);
  await eventually(async () => assertEquals(await entry(bus), undefined));
  await eventually(async () => assertEquals((await db`select from outbox`).length, 0));
  assertEquals(await signals(bus), ["signals.quality.source.orders breach"]);
});

Deno.test("a record blocks for what came before it, and not for what is earlier and came later", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, BLOCKING_UNIQUE);
  const line = (id: string, time: string, invoice: number) => event(id, { invoice }, { time: at(time) });
  // Of each invoice the second to come is the earlier one: nothing earlier is known when the first comes.
  await ingest(bus, [
    line("1", "10:00", 7),
    line("2", "09:00", 7),
    line("3", "10:00", 8),
    line("4", "09:00", 8),
  ]);
  assertEquals(notZero(await counted(service, 4)), { received: 4, clean: 4 });
  await ingest(bus, [line("5", "10:00", 9), line("6", "11:00", 7), line("7", "12:00", 10)]);
  assertEquals(notZero(await counted(service, 7)), { received: 7, clean: 5, quarantined: 1, held: 1 });
});

Deno.test("the intake waits when more is held than may be, and goes on after the release", async () => {
  await using service = await start({ env: { HELD_MAX_BYTES: "1500" } });
  const { bus } = service;
  await define(service, BLOCKING);
  await ingest(bus, [order("1", -1)]);
  await counted(service, 1);
  await ingest(bus, Array.from({ length: 5 }, (_, n) => order(`held ${n}`, 1)));
  await counted(service, 6);
  await ingest(bus, Array.from({ length: 5 }, (_, n) => order(`waits ${n}`, 1)));
  await eventually(async () =>
    assertEquals(
      await metric(service, 'microml_consumer_paused{stream="INGESTED"'),
      'microml_consumer_paused{stream="INGESTED",durable="data-preprocessing"} 1',
    )
  );
  assertEquals((await counted(service, 6)).held, 5);
  await release(service);
  assertEquals(notZero(await counted(service, 11)), { received: 11, clean: 10, quarantined: 1 });
});

Deno.test("a block is told again to a NATS that has lost it", async () => {
  await using database = await createTestDatabase("data-preprocessing");
  {
    await using service = await start({ databaseUrl: database.url });
    await define(service, BLOCKING);
    await ingest(service.bus, [order("1", -1)]);
    await counted(service, 1);
  }
  await using bus = await startTestBus();
  await using _service = await start({ bus, databaseUrl: database.url });
  await eventually(async () => assertEquals((await entry(bus))?.["source"], "orders"));
});

for (
  const [name, body] of Object.entries({ "a block": BLOCKING, "a block of a unique key": BLOCKING_UNIQUE })
) {
  const record = (id: string, price: number) => event(id, { price, invoice: price });
  crashPointSuite({
    name: `data-preprocessing with ${name}`,
    input: { stream: STREAM.ingested, durable: "data-preprocessing" },
    setUp: async () => await createTestDatabase("data-preprocessing"),
    async publish(bus, database) {
      {
        await using service = await start({ bus, databaseUrl: database.url });
        await define(service, body);
      }
      await ingest(bus, [record("1", -1), record("2", 2), record("2 again", -1), record("3", 3)]);
      await ingest(bus, [record("4", 4), record("1", -1)]);
    },
    start: (bus, database) => start({ bus, databaseUrl: database.url }),
    async expectOnce(bus, { db }) {
      const rows = await db`select clean, quarantined, held, duplicates from counts`;
      const clean = body === BLOCKING ? [] : ["1", "2"];
      const held = body === BLOCKING ? 4 : 2;
      assertEquals([...rows], [{ clean: clean.length, quarantined: 1, held, duplicates: 1 }]);
      const [kept] = await db`
        select (select sum(records)::integer from held_batches) as held, (select count(*) from blocks) as blocks`;
      assertEquals({ ...kept }, { held, blocks: 1 });
      assertEquals([...new Set((await cleanEvents(bus)).map(({ id }) => id))].sort(), clean);
    },
  });
}

Deno.test("a cleaning that can't be used holds its own source, and is told of; the others go on", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("data-preprocessing");
  const door = { bus, databaseUrl: database.url };
  const key = { SECRETS_KEY: "k".repeat(64) };
  {
    await using service = await start({ ...door, env: key });
    await define(service, { steps: [{ step: "hash", fields: ["customer"] }] });
  }
  {
    // Whoever started it forgot the key.
    await using service = await start(door);
    await ingest(bus, [sold("1"), sold("2")]);
    await ingest(bus, [event("a", {}, { source: "visits" })]);
    await eventuallyClean(bus, ["a"], ({ id }) => id, "visits");
    assertEquals(notZero(await counted(service, 2)), { received: 2, held: 2 });
    const [held] = await blocks(service);
    assertStringIncludes(held!.reasons[0]!, "its cleaning, version 1, cannot be used");
    // Released too early it is held again, and nothing is lost.
    await service.call(contract.releaseBlock, { source: "orders", reason: "looks well" });
    await eventually(async () => {
      const [again] = await database.db`select released_at, held from blocks where source = 'orders'`;
      assertEquals([again!["released_at"], again!["held"]], [null, 2]);
    });
  }
  await using service = await start({ ...door, env: key });
  await service.call(contract.releaseBlock, { source: "orders", reason: "the key is there" });
  await eventuallyClean(bus, ["1", "2"]);
  assertEquals(notZero(await counted(service, 2)), { received: 2, clean: 2 });
});

Deno.test("blocks are listed a page at a time", async () => {
  await using service = await start();
  const strict: CleaningInput = {
    expectations: [{ expect: "not_null", fields: ["customer"], action: "block" }],
  };
  for (const source of ["a", "b", "c"]) {
    await define(service, strict, source);
    await ingest(service.bus, [sold("1", { customer: null }, { source })]);
  }
  await eventually(async () => assertEquals((await blocks(service)).length, 3));
  const first = await service.call(contract.listBlocks, { limit: 2 });
  assertEquals([first.blocks.map(({ source }) => source), first.next], [["a", "b"], "b"]);
  const second = await service.call(contract.listBlocks, { limit: 2, after: first.next! });
  assertEquals([second.blocks.map(({ source }) => source), second.next], [["c"], null]);
});
