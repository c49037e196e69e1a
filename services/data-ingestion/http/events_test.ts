import { assert, assertEquals } from "@std/assert";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import * as contract from "shared/contracts/data_ingestion.ts";
import {
  piecesOf,
  post,
  rejectedLines,
  send,
  settled,
  startIntake,
  storedIds,
  TEXT_ORDERS,
} from "../testing/intake_service.ts";

const NDJSON = { "content-type": "application/x-ndjson" };
const CSV = { "content-type": "text/csv" };

Deno.test("POST /v1/events/{source} accepts one record, or an array", async () => {
  await using service = await startIntake();
  const one = await post(service, '{"quantity": 1}', {
    "content-type": "application/json; charset=utf-8",
    "idempotency-key": "k-1",
  });
  assertEquals([one.status, one.body], [202, { accepted: 1, receipt: "k-1" }]);
  const two = await post(service, '[{"quantity": 1}, {"quantity": "x"}, {"quantity": 3}]', {
    "content-type": "application/json",
    "idempotency-key": "k-2",
  });
  assertEquals(two.body.accepted, 3);
  await settled(service, { accepted: 4, stored: 3, rejected: 1 });
  assertEquals(await storedIds(service), ["orders:k-1:0", "orders:k-2:0/0", "orders:k-2:0/2"]);
});

Deno.test("POST /v1/events/{source} divides an array that is larger than a message", async () => {
  await using service = await startIntake();
  const records = Array.from({ length: 3_000 }, (_, quantity) => ({ quantity, note: "x".repeat(400) }));
  assertEquals((await post(service, JSON.stringify(records))).body.accepted, 3_000);
  await settled(service, { accepted: 3_000, stored: 3_000 });
  // By their number, too: so many tiny ones would be refused as one message.
  const tiny = Array.from({ length: 20_001 }, () => ({ quantity: 1 }));
  assertEquals((await post(service, JSON.stringify(tiny))).body.accepted, 20_001);
  await settled(service, { accepted: 23_001, stored: 23_001 });
  const rounded = [...records, { quantity: 1, big: 0 }];
  const refused = await post(
    service,
    JSON.stringify(rounded).replace('"big":0', '"big":12345678901234567890'),
  );
  assertEquals([refused.status, refused.body.reasons[0].path], [400, "/3000/big"]);
  const large = await post(service, JSON.stringify([{ quantity: 1 }, { note: "x".repeat(1_000_000) }]));
  assertEquals(large.status, 413);
  await settled(service, { accepted: 23_001 });
});

Deno.test("POST /v1/events/{source} takes lines of JSON as a stream, each broken one by its line", async () => {
  await using service = await startIntake();
  const lines = Array.from(
    { length: 5_000 },
    (_, number) => number % 1_000 === 7 ? `{"quantity": ${number}` : `{"quantity": ${number}}`,
  );
  lines.push('{"quantity": 12345678901234567890}', `"${"x".repeat(1_000_000)}"`, '{"quantity": 1}');
  const sendLines = () =>
    post(service, piecesOf(`${lines.join("\n")}\n`), { ...NDJSON, "idempotency-key": "load-1" });
  const { status, body } = await sendLines();
  assertEquals([status, body], [202, { accepted: 5_003, receipt: "load-1" }]);
  await settled(service, { accepted: 5_003, stored: 4_996, rejected: 7 });
  const rejected = await rejectedLines(service);
  assertEquals(rejected.map(([line]) => line), [8, 1_008, 2_008, 3_008, 4_008, 5_001, 5_002]);
  assert(rejected[0]?.[1].startsWith("must be JSON"));
  assert(rejected[5]?.[1].startsWith("/quantity is an integer beyond 2^53"));
  assertEquals(rejected[6]?.[1], "has 1000002 bytes, and may have 900000");
  // The same body under the same key is known again.
  assertEquals((await sendLines()).status, 202);
  await settled(service, { accepted: 5_003, stored: 4_996, rejected: 7 });
  assertEquals((await storedIds(service)).includes("load-1:5003"), true);
});

Deno.test("POST /v1/events/{source} takes CSV, plain and gzip, with its lines", async () => {
  await using service = await startIntake(TEXT_ORDERS);
  const csv = "quantity;note\n1;a\nx;b\n3;c;d\n4;\n";
  const headers = {
    "content-type": 'text/csv; charset=utf-8; delimiter=";"; empty=text',
    "idempotency-key": "k-1",
  };
  assertEquals((await post(service, csv, headers)).body, { accepted: 4, receipt: "k-1" });
  await settled(service, { accepted: 4, stored: 2, rejected: 2 });
  assertEquals(await rejectedLines(service), [
    [3, '/quantity must match pattern "^[0-9]+$", not "x"'],
    [4, "has 3 fields, and must have 2, as the header does"],
  ]);
  const rows = await service.db`select id, data from events order by id`;
  assertEquals([...rows], [
    { id: "k-1:2", data: { quantity: "1", note: "a" } },
    { id: "k-1:5", data: { quantity: "4", note: "" } },
  ]);

  const zipped = new Uint8Array(gzipSync("quantity\n5\n6\n"));
  assertEquals((await post(service, zipped, { ...CSV, "content-encoding": "gzip" })).body.accepted, 2);
  await settled(service, { accepted: 6, stored: 4 });
  assertEquals(
    (await post(service, zipped.slice(0, -9), { ...CSV, "content-encoding": "gzip" })).status,
    400,
  );
  assertEquals((await post(service, zipped, { ...CSV, "content-encoding": "br" })).status, 415);
  const refused = await post(service, "quantity,quantity\n1,2\n", CSV);
  assertEquals([refused.status, refused.body.detail.includes('names two columns "quantity"')], [400, true]);
});

Deno.test("POST /v1/events/{source} takes a Parquet file", async () => {
  await using service = await startIntake();
  const quantities = Int32Array.from({ length: 2_500 }, (_, index) => index);
  const file = parquetWriteBuffer({ columnData: [{ name: "quantity", data: quantities }] });
  const headers = { "content-type": "application/vnd.apache.parquet", "idempotency-key": "p" };
  assertEquals((await post(service, file, headers)).body, { accepted: 2_500, receipt: "p" });
  await settled(service, { accepted: 2_500, stored: 2_500 });
  assertEquals((await storedIds(service)).slice(0, 2), ["p:1", "p:2"]);
  const broken = await post(service, file.slice(0, 1_000), headers);
  assertEquals([broken.status, broken.body.detail.includes("no Parquet file")], [400, true]);
});

Deno.test("POST /v1/events/{source} takes lines for a source of logs, and for no other", async () => {
  await using service = await startIntake({ kind: "logs", schema: {}, format: "logfmt" });
  const headers = { "content-type": "text/plain", "idempotency-key": "l" };
  assertEquals((await post(service, 'level=info msg=hi\n\nlevel="\n', headers)).body.accepted, 2);
  await settled(service, { accepted: 2, stored: 1, rejected: 1 });
  assertEquals((await rejectedLines(service)).map(([line]) => line), [3]);
  await service.call(contract.putSource, {
    project: "shop",
    name: "carts",
    body: { kind: "events", schema: {} },
  });
  const refused = await send(service, "/v1/events/carts", { method: "POST", body: "level=info\n", headers });
  assertEquals(refused.status, 400);
});

Deno.test("POST /v1/events/{source} accepts CloudEvents: structured, binary, in a batch, as lines", async () => {
  await using service = await startIntake();
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
    await post(service, `${JSON.stringify({ ...envelope("d"), data: { quantity: 4 } })}\n`, NDJSON),
  ].map(({ status }) => status);
  assertEquals(statuses, [202, 202, 202, 202]);
  await settled(service, { accepted: 4, stored: 4 });
  assertEquals(await storedIds(service), ["a", "b", "c", "d"]);
});

Deno.test("POST /v1/events/{source} with Prefer: wait answers when the event is stored, or why not", async () => {
  await using service = await startIntake();
  const headers = { "content-type": "application/json", "prefer": "wait", "idempotency-key": "k-1" };
  const stored = await post(service, '{"quantity": 1}', headers);
  assertEquals([stored.status, stored.body], [201, { id: "k-1", status: "stored" }]);
  assertEquals((await post(service, '{"quantity": 1}', headers)).status, 201);
  const refused = await post(service, '{"quantity": "x", "big": 12345678901234567890}', headers);
  assertEquals(refused.status, 400);
  assertEquals(refused.body.reasons, [
    { path: "/big", message: "is an integer beyond 2^53, which JSON readers round: send it as text" },
    { path: "/quantity", message: 'must be integer, not "x"' },
  ]);
  assertEquals((await post(service, '{"quantity": ', headers)).status, 400);
  assertEquals((await post(service, "[{}]", headers)).status, 400);
  assertEquals((await post(service, "quantity\n1\n", { ...headers, ...CSV })).status, 400);
  await settled(service, { stored: 1, duplicates: 0, rejected: 2 });
});

Deno.test("POST /v1/events/{source} refuses at once what it cannot read at all", async () => {
  await using service = await startIntake();
  const form = { "content-type": "application/x-www-form-urlencoded" };
  assertEquals((await post(service, '{"quantity": ')).status, 400);
  assertEquals((await post(service, "[]")).status, 400);
  assertEquals((await post(service, "quantity=1", form)).status, 415);
  assertEquals((await post(service, "\n", NDJSON)).status, 400);
  assertEquals((await post(service, JSON.stringify({ note: "x".repeat(1_000_000) }))).status, 413);
  assertEquals((await post(service, piecesOf(`"${"x".repeat(9_000_000)}"`))).status, 413);
  const named = await send(service, "/v1/events/No.Name", {
    method: "POST",
    body: "{}",
    headers: { "content-type": "application/json" },
  });
  assertEquals(named.status, 400);
});

Deno.test("data-ingestion answers its ledger, its rejects and its OpenAPI over HTTP", async () => {
  await using service = await startIntake();
  await post(service, '{"quantity": "x"}');
  await settled(service, { rejected: 1 });
  const get = async (path: string) => await (await fetch(`${service.url}${path}`)).json();
  assertEquals((await get("/v1/ledger?source=orders")).sources[0].accepted, 1);
  assertEquals((await get("/v1/rejected?limit=1")).rejected[0].payload, { quantity: "x" });
  const { paths } = await get("/openapi.json");
  for (const path of ["/v1/events/{source}", "/v1/sources/{name}", "/v1/uploads", "/v1/uploads/{upload}"]) {
    assert(path in paths, path);
  }
  assert("patch" in paths["/v1/uploads/{upload}"] && "get" in paths["/v1/uploads/{upload}"]);
});
