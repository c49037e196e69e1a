import { assertEquals } from "@std/assert";
import * as contract from "shared/contracts/data_ingestion.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import {
  type Answer,
  rejectedLines,
  send,
  settled,
  startIntake,
  storedIds,
  TEXT_ORDERS,
} from "../testing/intake_service.ts";

const SHA256 = "0a".repeat(32);
const OPTIONS: contract.FileOptions = { format: "csv", delimiter: ",", empty: "omit" };

const startUpload = (service: TestService, more: Record<string, unknown> = {}, headers: HeadersInit = {}) =>
  send(service, "/v1/uploads", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ source: "orders", name: "orders.csv", options: OPTIONS, ...more }),
  });

const patch = (
  service: TestService,
  upload: string,
  body: BodyInit,
  headers: Record<string, string> = { "upload-offset": "0", "upload-complete": "?1" },
): Promise<Answer> => send(service, `/v1/uploads/${upload}`, { method: "PATCH", body, headers });

const text = "quantity,note\n1,a\nx,b\n3,c\n";

Deno.test("PATCH /v1/uploads/{upload} takes a file in parts, and names its records by file and line", async () => {
  await using service = await startIntake(TEXT_ORDERS);
  const begun = await startUpload(service, { sha256: SHA256 });
  assertEquals([begun.status, begun.body.state, begun.body.offset], [201, "open", 0]);
  const { upload } = begun.body;
  const first = await patch(service, upload, text.slice(0, 20), { "upload-offset": "0" });
  assertEquals([first.status, first.headers.get("upload-offset"), first.body.records], [200, "18", 1]);

  const again = await startUpload(service, { sha256: SHA256 });
  assertEquals([again.body.upload, again.body.offset, again.body.line], [upload, 18, 2]);
  const wrong = await patch(service, upload, text);
  assertEquals([wrong.status, wrong.headers.get("upload-offset")], [409, "18"]);
  const done = await patch(service, upload, text.slice(18), {
    "upload-offset": "18",
    "upload-complete": "?1",
  });
  assertEquals([done.status, done.body.state, done.body.records], [200, "complete", 3]);
  assertEquals(await service.call(contract.getUpload, { upload }), done.body);

  await settled(service, { accepted: 3, stored: 2, rejected: 1 });
  assertEquals(await storedIds(service), [`${SHA256}:2`, `${SHA256}:4`]);
  assertEquals((await rejectedLines(service))[0]?.[0], 3);
  // The file is known for good.
  assertEquals((await startUpload(service, { sha256: SHA256 })).body.state, "complete");
  assertEquals((await patch(service, upload, "", { "upload-offset": "26" })).status, 409);
});

Deno.test("PATCH /v1/uploads/{upload} goes on where a connection broke", async () => {
  await using service = await startIntake(TEXT_ORDERS);
  const { body: { upload } } = await startUpload(service);
  const aborted = new AbortController();
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const broken = fetch(`${service.url}/v1/uploads/${upload}`, {
    method: "PATCH",
    headers: { "upload-offset": "0", "upload-complete": "?1" },
    body: readable,
    signal: aborted.signal,
  }).catch((error: Error) => error.name);
  const lines = Array.from({ length: 9_000 }, (_, index) => `${index}\n`).join("");
  await writer.write(new TextEncoder().encode(`quantity\n${lines}12`));
  const find = () => service.call(contract.getUpload, { upload });
  // Eight messages are on their way at a time: the rest is taken when the connection is seen to be broken.
  await eventually(async () => (await find()).records >= 7_999);
  assertEquals(
    (await patch(service, upload, "", { "upload-offset": String((await find()).offset) })).status,
    409,
  );
  aborted.abort();
  assertEquals(await broken, "AbortError");
  await writer.abort().catch(() => undefined);
  await eventually(async () => (await find()).records === 9_000);

  const resumed = await eventually(async () => {
    const { offset } = await find();
    const answer = await patch(service, upload, "12\n13\n", {
      "upload-offset": String(offset),
      "upload-complete": "?1",
    });
    assertEquals(answer.status, 200);
    return answer;
  });
  assertEquals([resumed.body.records, resumed.body.line], [9_002, 9_003]);
  await settled(service, { accepted: 9_002, stored: 9_002 });
});

Deno.test("PATCH /v1/uploads/{upload} takes no half record for the last one when its sender is gone", async () => {
  await using service = await startIntake(TEXT_ORDERS);
  const { body: { upload } } = await startUpload(service);
  const { hostname, port } = new URL(service.url);
  {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    const head = `PATCH /v1/uploads/${upload} HTTP/1.1\r\nHost: ${hostname}\r\nUpload-Offset: 0\r\n` +
      "Upload-Complete: ?1\r\nContent-Length: 1000\r\n\r\n";
    await connection.write(new TextEncoder().encode(`${head}quantity\n1\n23`));
  }
  const whole = "quantity\n1\n234\n";
  const done = await eventually(async () => {
    const { offset, state } = await service.call(contract.getUpload, { upload });
    assertEquals(state, "open");
    const headers = { "upload-offset": String(offset), "upload-complete": "?1" };
    const answer = await patch(service, upload, whole.slice(offset), headers);
    assertEquals(answer.status, 200);
    return answer;
  });
  assertEquals(done.body.records, 2);
  await settled(service, { accepted: 2, stored: 2 });
});

Deno.test("POST /v1/uploads begins once under an idempotency key, and refuses what no source takes", async () => {
  await using service = await startIntake(TEXT_ORDERS);
  const key = { "idempotency-key": "k-1" };
  const [one, two, other] = [
    await startUpload(service, {}, key),
    await startUpload(service, {}, key),
    await startUpload(service),
  ];
  assertEquals([one.body.upload === two.body.upload, one.body.upload === other.body.upload], [true, false]);
  assertEquals((await startUpload(service, { source: "unknown" })).status, 404);
  assertEquals((await startUpload(service, { options: { ...OPTIONS, format: "lines" } })).status, 400);
  assertEquals((await startUpload(service, { sha256: "abc" })).status, 400);
});

Deno.test("PATCH /v1/uploads/{upload} refuses what it does not understand", async () => {
  await using service = await startIntake(TEXT_ORDERS);
  const { body: { upload } } = await startUpload(service);
  assertEquals((await patch(service, upload, text, {})).status, 400);
  assertEquals(
    (await patch(service, upload, text, { "upload-offset": "0", "upload-complete": "yes" })).status,
    400,
  );
  assertEquals((await patch(service, "no-uuid", text)).status, 400);
  assertEquals((await patch(service, crypto.randomUUID(), text)).status, 404);
  const headless = await patch(service, upload, "quantity,\n1,2\n");
  assertEquals(
    headless.body.detail,
    "Cannot read the file: its header (line 1) has no name for column 2: each must have one",
  );
  assertEquals((await service.call(contract.getUpload, { upload })).offset, 0);
});
