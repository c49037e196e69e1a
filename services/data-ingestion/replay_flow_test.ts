import { assert, assertEquals } from "@std/assert";
import { headers as createHeaders } from "nats";
import { listDeadLetters } from "shared/bus/list_dead_letters.ts";
import * as contract from "shared/contracts/data_ingestion.ts";
import type { ReplyOf } from "shared/contracts/endpoint.ts";
import { HEADER, type PlatformEvent } from "shared/contracts/envelope.ts";
import { cancelReplay, getReplay, listReplays, type Replay, startReplay } from "shared/contracts/replay.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService, type TestService } from "shared/testing/service.ts";
import { everythingIsAcknowledged, storedMessages } from "shared/testing/streams.ts";
import { createApp } from "./app.ts";
import { configSchema } from "./config.ts";

const start = () => startTestService("data-ingestion", configSchema, createApp);

async function define(service: TestService): Promise<void> {
  await service.call(contract.putProject, { project: "shop", name: "shop", body: { clock: "event" } });
  await service.call(contract.putSource, {
    project: "shop",
    name: "orders",
    body: { kind: "events", schema: { type: "object" }, id: [], time: "at" },
  });
  await service.call(contract.putSource, {
    project: "shop",
    name: "products",
    body: {
      kind: "entities",
      schema: { type: "object", required: ["sku"], properties: { sku: { type: "string" } } },
      id: ["sku"],
      time: "at",
    },
  });
}

type StoredEvent = ReplyOf<typeof contract.storedEvents>["events"][number];

const at = (n: number) => new Date(Date.UTC(2011, 0, 1, 0, (n * 37) % 100)).toISOString();

function publish(service: TestService, source: string, record: unknown, names: Record<string, string> = {}) {
  const headers = createHeaders();
  for (const [name, value] of Object.entries(names)) headers.set(name, value);
  service.bus.nc.publish(`events.${source}`, JSON.stringify(record), { headers });
}

const allTaken = ({ bus }: TestService) =>
  eventually(() => everythingIsAcknowledged(bus, { stream: STREAM.events, durable: "data-ingestion" }));

/** The events on a stream under a subject, each as its bytes stood there. */
async function bytesOf({ bus }: TestService, stream: string, subject: string): Promise<string[]> {
  const messages = (await storedMessages(bus, stream)).filter((message) => message.subject === subject);
  return messages.flatMap((message) => {
    const events = message.json<PlatformEvent[]>().map((event) => JSON.stringify(event));
    // So that an event's text is its bytes.
    assertEquals(message.string(), `[${events.join(",")}]`);
    return events;
  });
}

const inOrder = (events: readonly string[]) =>
  events.map((text) => ({ text, event: JSON.parse(text) as PlatformEvent }))
    .toSorted((a, b) => `${a.event.time} ${a.event.id}` < `${b.event.time} ${b.event.id}` ? -1 : 1)
    .map(({ text }) => text);

const ended = (service: TestService, run: string): Promise<Replay> =>
  eventually(async () => {
    const replay = await service.call(getReplay, { run });
    return replay.state !== "running" && replay;
  });

Deno.test("data-ingestion replays the bytes that the live flow had", async () => {
  await using service = await start();
  await define(service);
  for (let n = 0; n < 200; n++) {
    const record = { at: at(n), 2: "two", n, "\u00fc": [1.5, -0, 1e21, null, { deep: "\u2028" }] };
    publish(service, "orders", record, {
      [HEADER.actor]: n % 2 === 0 ? "till 4" : "",
      [HEADER.traceparent]: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      ...(n % 3 === 0 ? { [HEADER.messageId]: `m-${n}` } : {}),
    });
    publish(service, "products", { sku: `p-${n % 7}`, at: at(n), price: n });
  }
  await allTaken(service);
  const clock = await service.db`select now from clocks`;

  for (const source of ["orders", "products"]) {
    const live = await bytesOf(service, "INGESTED", `ingested.${source}`);
    assertEquals(live.length, 200);
    for (const run of [`${source}-1`, `${source}-2`]) {
      const response = await fetch(`${service.url}/v1/replays`, {
        method: "POST",
        headers: { "content-type": "application/json", [HEADER.actor]: "ann" },
        body: JSON.stringify({ source, run }),
      });
      assertEquals(response.status, 201);
      assertEquals((await response.json() as Replay).actor, "ann");
      assertEquals((await ended(service, run)).published, 200);
      const bytes = await bytesOf(service, "REPLAY", `replay.${run}.${source}`);
      // One by one: all of them would be a long message.
      inOrder(live).forEach((text, index) => assertEquals(bytes[index], text));
      assertEquals(bytes.length, live.length);
    }
  }
  assertEquals(await service.db`select now from clocks`, clock);
  assertEquals((await service.call(listReplays, { source: "orders" })).replays.map(({ run }) => run), [
    "orders-2",
    "orders-1",
  ]);
  await service.call(startReplay, { source: "orders", run: "slow", pace: 0.001 });
  assertEquals((await service.call(cancelReplay, { run: "slow" })).state, "cancelled");
});

Deno.test("data-ingestion shows the records of a source that arrived last", async () => {
  await using service = await start();
  await define(service);
  const pad = "x".repeat(100_000);
  for (let n = 0; n < 10; n++) publish(service, "orders", { n, at: at(n), pad });
  publish(service, "products", { sku: "p", at: at(1) });
  await allTaken(service);
  const shown = async (request: { source: string; limit?: number }) =>
    (await service.call(contract.storedEvents, request)).events;
  assertEquals((await shown({ source: "orders", limit: 3 })).map(({ data }) => data["n"]), [9, 8, 7]);
  // As many as fit into an answer.
  assertEquals((await shown({ source: "orders" })).map(({ data }) => data["n"]), [9, 8, 7, 6, 5]);
  const [{ arrivedAt, knownAt, ...product }] = await shown({ source: "products" }) as [StoredEvent];
  assert(arrivedAt > "2026" && knownAt === arrivedAt);
  assertEquals(product, {
    id: product.id,
    time: at(1),
    definition: 1,
    data: { sku: "p", at: at(1) },
  });
  assertEquals(await shown({ source: "nothing" }), []);
});

Deno.test("data-ingestion takes dead letters in again, with the ids that they had", async () => {
  await using service = await start();
  await define(service);
  // What nobody thought of: the database refuses what the service found right.
  await service.db`alter table events add constraint unlucky check (data::text not like '%poison%')`;
  publish(service, "orders", { at: at(1), text: "poison" }, { [HEADER.messageId]: "m-1" });
  publish(service, "orders", { at: at(2), text: "poison" });
  publish(service, "orders", { at: at(3), text: "good" });
  await eventually(async () => {
    const { deadLetters } = await listDeadLetters(service.bus, "data-ingestion", { limit: 10 });
    assertEquals(deadLetters.map(({ sequence }) => sequence).toSorted(), [1, 2]);
  });
  const { deadLetters } = await service.call(contract.deadLetters, { name: "orders" });
  const [{ number, payload, reasons }] = deadLetters as [typeof deadLetters[number]];
  assert(payload!.includes("poison") && reasons[0]!.message.includes("unlucky"));
  assertEquals((await service.call(contract.redriveDead, { numbers: [number] })).redriven, 1);
  await eventually(async () => {
    const { deadLetters } = await service.call(contract.deadLetters, {});
    assert(deadLetters.length === 2 && deadLetters[0]!.sequence === 4);
  });

  await service.db`alter table events drop constraint unlucky`;
  const redriven = await service.call(contract.redriveDead, {}, { idempotencyKey: "once" });
  assertEquals(redriven, { redriven: 2, failed: [], more: false });
  await allTaken(service);
  const rows = await service.db`select id from events order by event_time`;
  // The first by its message id, the second by where it stood at first.
  assertEquals(
    rows.map(({ id }) => id),
    ["EVENTS/3/0", "m-1", "EVENTS/2"].toSorted((a, b) => order(a) - order(b)),
  );
  assertEquals(await service.call(contract.deadLetters, {}), { deadLetters: [], next: null });
});

/** By the event time of the records above. */
const order = (id: string) => Date.parse(at({ "m-1": 1, "EVENTS/2": 2, "EVENTS/3/0": 3 }[id]!));
