import { assert, assertEquals } from "@std/assert";
import * as contract from "shared/contracts/data_ingestion.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService, type TestService } from "shared/testing/service.ts";
import { createApp } from "./app.ts";
import { configSchema } from "./config.ts";

const start = async () => {
  const service = await startTestService("data-ingestion", configSchema, createApp);
  await service.call(contract.putSource, {
    project: "shop",
    name: "orders",
    body: {
      kind: "events",
      schema: { type: "object", required: ["quantity"], properties: { quantity: { type: "integer" } } },
    },
  });
  return service;
};

const post = async (
  service: TestService,
  body: BodyInit,
  headers: Record<string, string> = { "content-type": "application/json" },
) => {
  const response = await fetch(`${service.url}/v1/events/orders`, { method: "POST", body, headers });
  return { status: response.status, body: await response.json() };
};

const settled = (service: TestService, expected: Partial<contract.LedgerRow>) =>
  eventually(async () => {
    const { sources: [row] } = await service.call(contract.ledger, {});
    for (const [name, value] of Object.entries({ pending: 0, ...expected })) {
      assertEquals(row?.[name as keyof contract.LedgerRow], value, name);
    }
  });

const ids = async ({ db }: TestService) =>
  (await db<{ id: string }[]>`select id from events order by sequence, position, id`).map(({ id }) => id);

Deno.test("POST /v1/events/{source} accepts one record, or an array", async () => {
  await using service = await start();
  const one = await post(service, '{"quantity": 1}', {
    "content-type": "application/json; charset=utf-8",
    "idempotency-key": "k-1",
  });
  assertEquals(one, { status: 202, body: { accepted: 1, receipt: "k-1" } });
  const two = await post(service, '[{"quantity": 1}, {"quantity": "x"}, {"quantity": 3}]', {
    "content-type": "application/json",
    "idempotency-key": "k-2",
  });
  assertEquals(two.body.accepted, 3);
  await settled(service, { accepted: 4, stored: 3, rejected: 1 });
  assertEquals(await ids(service), ["orders:k-1:0", "orders:k-2:0/0", "orders:k-2:0/2"]);
});

Deno.test("POST /v1/events/{source} divides an array that is larger than a message", async () => {
  await using service = await start();
  const records = Array.from({ length: 3_000 }, (_, quantity) => ({ quantity, note: "x".repeat(400) }));
  assertEquals((await post(service, JSON.stringify(records))).body.accepted, 3_000);
  await settled(service, { accepted: 3_000, stored: 3_000 });
  const rounded = [...records, { quantity: 1, big: 0 }];
  const refused = await post(
    service,
    JSON.stringify(rounded).replace('"big":0', '"big":12345678901234567890'),
  );
  assertEquals(refused.status, 400);
  assertEquals(refused.body.reasons[0].path, "/3000/big");
});

Deno.test("POST /v1/events/{source} accepts lines as a stream, broken ones for the ledger", async () => {
  await using service = await start();
  const lines = Array.from(
    { length: 5_000 },
    (_, number) => number % 1_000 === 7 ? `{"quantity": ${number}` : `{"quantity": ${number}}`,
  );
  const send = () =>
    post(service, ReadableStream.from(lines.map((line) => new TextEncoder().encode(`${line}\n`))), {
      "content-type": "application/x-ndjson",
      "idempotency-key": "load-1",
    });
  assertEquals(await send(), { status: 202, body: { accepted: 5_000, receipt: "load-1" } });
  await settled(service, { accepted: 5_000, stored: 4_995, rejected: 5 });
  // The same body under the same key is known again.
  assertEquals((await send()).status, 202);
  await settled(service, { accepted: 5_000, stored: 4_995, rejected: 5 });
});

Deno.test("POST /v1/events/{source} accepts CloudEvents: structured, binary and in a batch", async () => {
  await using service = await start();
  const envelope = (id: string) => ({ specversion: "1.0", id, source: "/tills/4", type: "order" });
  const statuses = [
    await post(service, JSON.stringify({ ...envelope("a"), data: { quantity: 1 } }), {
      "content-type": "application/cloudevents+json",
    }),
    await post(service, JSON.stringify([{ ...envelope("b"), data: { quantity: 2 } }]), {
      "content-type": "application/cloudevents-batch+json",
    }),
    await post(service, '{"quantity": 3}', {
      "content-type": "application/json",
      "ce-specversion": "1.0",
      "ce-id": "c",
      "ce-source": "/tills/4",
      "ce-type": "order",
    }),
  ].map(({ status }) => status);
  assertEquals(statuses, [202, 202, 202]);
  await settled(service, { accepted: 3, stored: 3 });
  assertEquals(await ids(service), ["a", "b", "c"]);
});

Deno.test("POST /v1/events/{source} with Prefer: wait answers when the event is stored, or why not", async () => {
  await using service = await start();
  const headers = { "content-type": "application/json", "prefer": "wait", "idempotency-key": "k-1" };
  assertEquals(await post(service, '{"quantity": 1}', headers), {
    status: 201,
    body: { id: "k-1", status: "stored" },
  });
  assertEquals((await post(service, '{"quantity": 1}', headers)).status, 200);
  const refused = await post(service, '{"quantity": "x", "big": 12345678901234567890}', headers);
  assertEquals(refused.status, 400);
  assertEquals(refused.body.reasons, [
    { path: "/big", message: "is an integer beyond 2^53, which JSON readers round: send it as text" },
    { path: "/quantity", message: 'must be integer, not "x"' },
  ]);
  assertEquals((await post(service, '{"quantity": ', headers)).status, 400);
  assertEquals((await post(service, "[{}]", headers)).status, 400);
  await settled(service, { stored: 1, duplicates: 1, rejected: 2 });
});

Deno.test("POST /v1/events/{source} refuses at once what it cannot read at all", async () => {
  await using service = await start();
  assertEquals((await post(service, '{"quantity": ')).status, 400);
  assertEquals((await post(service, "[]")).status, 400);
  assertEquals((await post(service, "quantity=1", { "content-type": "text/plain" })).status, 415);
  assertEquals((await post(service, "\n", { "content-type": "application/x-ndjson" })).status, 400);
  assertEquals((await post(service, JSON.stringify({ note: "x".repeat(1_000_000) }))).status, 413);
  const long = await post(service, `{"quantity":1}\n"${"x".repeat(1_000_000)}"`, {
    "content-type": "application/x-ndjson",
  });
  assertEquals(long.status, 413);
  assert(
    long.body.detail.includes("line 2 has more than 900000 bytes; the 1 records before it are accepted"),
  );
  const response = await fetch(`${service.url}/v1/events/No.Name`, {
    method: "POST",
    body: "{}",
    headers: { "content-type": "application/json" },
  });
  assertEquals(response.status, 400);
  await response.body?.cancel();
});

Deno.test("data-ingestion answers its ledger, its rejects and its OpenAPI over HTTP", async () => {
  await using service = await start();
  await post(service, '{"quantity": "x"}');
  await settled(service, { rejected: 1 });
  const get = async (path: string) => await (await fetch(`${service.url}${path}`)).json();
  assertEquals((await get("/v1/ledger?source=orders")).sources[0].accepted, 1);
  assertEquals((await get("/v1/rejected?limit=1")).rejected[0].payload, { quantity: "x" });
  const { paths } = await get("/openapi.json");
  assert("/v1/events/{source}" in paths && "/v1/sources/{name}" in paths);
});
