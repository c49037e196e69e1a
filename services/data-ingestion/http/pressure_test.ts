/** What happens when there is more than can be taken: refusals that say when to come back, and nothing lost. @module */
import { assert, assertEquals, assertRejects } from "@std/assert";
import * as contract from "shared/contracts/data_ingestion.ts";
import { STREAM } from "shared/contracts/streams.ts";
import type { Database } from "shared/db/connection.ts";
import { AppError } from "shared/errors.ts";
import { startThrowawayPostgres } from "shared/infra/throwaway.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import {
  type Answer,
  ORDERS,
  piecesOf,
  post,
  send,
  settled,
  startIntake,
} from "../testing/intake_service.ts";

const NDJSON = { "content-type": "application/x-ndjson" };
const WAIT = { "content-type": "application/json", "prefer": "wait" };

function assertRefused(answer: Answer, status: number): void {
  assertEquals(answer.status, status, JSON.stringify(answer.body));
  assert(Number(answer.headers.get("retry-after")) >= 1, "there is no Retry-After");
}

const limitEvents = ({ bus }: TestService, max_bytes: number) =>
  bus.jsm.streams.update(STREAM.events.name, { max_bytes });

/** Nothing can be stored until it is disposed of. */
async function lockEvents(db: Database): Promise<AsyncDisposable> {
  const locked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const holding = db.begin(async (tx) => {
    await tx`lock table event_keys in access exclusive mode`;
    locked.resolve();
    await release.promise;
  });
  await locked.promise;
  return {
    async [Symbol.asyncDispose]() {
      release.resolve();
      await holding;
    },
  };
}

Deno.test("a full stream is answered with 429, and what was accepted before is stored", async () => {
  await using service = await startIntake();
  await limitEvents(service, 200_000);
  const body = JSON.stringify(
    Array.from({ length: 50 }, (_, quantity) => ({ quantity, note: "x".repeat(100) })),
  );
  let accepted = 0;
  let answer = await post(service, body);
  for (; answer.status === 202; answer = await post(service, body)) accepted += answer.body.accepted;
  assertRefused(answer, 429);
  const lines = `${'{"quantity": 1}\n'.repeat(20_000)}`;
  const streamed = await post(service, piecesOf(lines), NDJSON);
  assertRefused(streamed, 429);
  const upload = await send(service, "/v1/uploads", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ source: "orders", name: "orders", options: { format: "ndjson" } }),
  });
  const path = `/v1/uploads/${upload.body.upload}`;
  const headers = { "upload-offset": "0", "upload-complete": "?1" };
  assertRefused(await send(service, path, { method: "PATCH", body: lines, headers }), 429);
  // Whoever publishes by NATS is told by JetStream itself.
  const refused = await service.bus.nc.request("events.orders", "x".repeat(200_000));
  assertEquals(
    refused.json<{ error: { description: string } }>().error.description,
    "maximum bytes exceeded",
  );

  await limitEvents(service, 10_000_000);
  const { offset } = await service.call(contract.getUpload, { upload: upload.body.upload });
  const rest = await send(service, path, {
    method: "PATCH",
    body: lines.slice(offset),
    headers: { ...headers, "upload-offset": String(offset) },
  });
  assertEquals(rest.body.records, 20_000);
  const told = Number(/(\d+) records before that/.exec(streamed.body.detail)?.[1] ?? 0);
  const all = accepted + 20_000;
  // A group of messages that was refused may have been accepted in part: those are more than anybody was told of.
  await eventually(async () => {
    const { sources: [row] } = await service.call(contract.ledger, { source: "orders" });
    assertEquals(row?.pending, 0);
    assert(row!.stored >= all + told, `${row!.stored} are stored, ${all + told} were accepted`);
    assertEquals(row!.stored + row!.duplicates, row!.accepted);
  });
});

Deno.test("PostgreSQL away is answered with 503, and what was accepted meanwhile is stored when it is back", async () => {
  await using server = await startThrowawayPostgres();
  await using database = await createTestDatabase("data-ingestion", { server });
  await using service = await startIntake(ORDERS, {
    databaseUrl: database.url,
    env: { ANSWER_SECONDS: "3" },
  });
  assertEquals((await post(service, '{"quantity": 1}', WAIT)).status, 201);
  const { body: { upload } } = await send(service, "/v1/uploads", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ source: "orders", name: "orders", options: { format: "ndjson" } }),
  });

  await server.kill();
  assertRefused(await post(service, '{"quantity": 2}', WAIT), 503);
  const error = await assertRejects(
    () => service.call(contract.storeEvent, { source: "orders", event: { quantity: 3 } }),
    AppError,
  );
  assertEquals(error.code, "unavailable");
  const headers = { "upload-offset": "0", "upload-complete": "?1" };
  const patch = () =>
    send(service, `/v1/uploads/${upload}`, { method: "PATCH", body: '{"quantity": 4}\n', headers });
  assertRefused(await patch(), 503);
  assertEquals((await post(service, '[{"quantity": 5}, {"quantity": 6}]')).status, 202);
  assertEquals((await post(service, '{"quantity": 7}\n{"quantity": 8}\n', NDJSON)).status, 202);

  await server.restart();
  await eventually(async () => assertEquals((await patch()).status, 200));
  await eventually(async () => {
    const rows = await service.db<{ quantity: number }[]>`
      select (data ->> 'quantity')::int as quantity from events order by 1`;
    assertEquals(
      rows.map(({ quantity }) => quantity).filter((quantity) => quantity !== 2 && quantity !== 3),
      [
        1,
        4,
        5,
        6,
        7,
        8,
      ],
    );
  });
});

Deno.test("a slow database is answered with 503 in time, and with a refusal once too many wait", async () => {
  await using service = await startIntake(ORDERS, { env: { ANSWER_SECONDS: "1", MAX_WAITING: "2" } });
  const key = { ...WAIT, "idempotency-key": "k-1" };
  {
    await using _lock = await lockEvents(service.db);
    assertRefused(await post(service, '{"quantity": 1}', key), 503);
    // The first is still being stored.
    const second = post(service, '{"quantity": 2}', WAIT);
    const error = await eventually(async () => {
      const error = await assertRejects(
        () => service.call(contract.storeEvent, { source: "orders", event: { quantity: 3 } }),
        AppError,
      );
      assertEquals(error.code, "busy");
      return error;
    });
    assertEquals(error.retryAfter, 1);
    const third = await post(service, '{"quantity": 3}', WAIT);
    assertRefused(third, 503);
    assert(third.body.detail.includes("too many are being stored"), third.body.detail);
    assertRefused(await second, 503);
  }
  await eventually(async () => assertEquals((await post(service, '{"quantity": 1}', key)).status, 201));
  await eventually(async () => {
    const [row] = await service.db`select count(*)::int as events from events`;
    assertEquals(row?.["events"], 2);
  });
});

Deno.test("an outbox that nobody empties is answered with 503 until there is room, and does not grow", async () => {
  await using service = await startIntake(ORDERS);
  assertEquals((await post(service, '{"quantity": 1, "id": "a"}', WAIT)).status, 201);
  await eventually(async () => assertEquals((await service.db`select from outbox`).length, 0));
  // A subject that no stream takes: the relay stays with it, as it does while INGESTED is full.
  await service.db`
    insert into outbox (subject, headers, payload, message_id)
    select 'nowhere.orders', '{}', '', 'stuck-' || n from generate_series(1, 1001) as n`;
  assertRefused(await post(service, '{"quantity": 2}', WAIT), 503);
  const error = await assertRejects(
    () => service.call(contract.storeEvent, { source: "orders", event: { quantity: 3 } }),
    AppError,
  );
  assertEquals([error.code, error.retryAfter], ["unavailable", 2]);
  // What leads to no message is answered as ever.
  assertEquals((await post(service, '{"quantity": "x"}', WAIT)).status, 400);
  const [row] = await service.db`select count(*)::int as waiting from outbox`;
  assertEquals(row?.["waiting"], 1_001);

  await service.db`delete from outbox`;
  assertEquals((await post(service, '{"quantity": 2}', WAIT)).status, 201);
  await settled(service, { accepted: 3, stored: 2, rejected: 1 });
});

Deno.test("more bodies than fit into memory are answered with 503, until there is room again", async () => {
  await using service = await startIntake(ORDERS, { env: { INTAKE_BYTES: String(8 * 1024 * 1024) } });
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const first = post(service, readable, NDJSON);
  await writer.write(new TextEncoder().encode('{"quantity": 1}\n'));
  await eventually(async () => assertRefused(await post(service, '{"quantity": 2}\n', NDJSON), 503));
  assertRefused(await post(service, '{"quantity": 2}'), 503);
  await writer.close();
  assertEquals((await first).body.accepted, 1);
  assertEquals((await post(service, '{"quantity": 2}\n', NDJSON)).status, 202);
});

Deno.test("a body that does not move is given up, with what was whole of it", async () => {
  await using service = await startIntake(ORDERS, { env: { SLOW_BODY_SECONDS: "1" } });
  for (const headers of [NDJSON, { "content-type": "application/json" }]) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const answer = post(service, readable, headers);
    await writer.write(new TextEncoder().encode('{"quantity": 1}\n{"quant'));
    const { status, body } = await answer;
    assertEquals(status, 408);
    assert(body.detail.startsWith("Cannot read the request: less than 1024 bytes of its body came in 1 s"));
    await writer.abort().catch(() => undefined);
  }
  await settled(service, { accepted: 1, stored: 1 });
});
