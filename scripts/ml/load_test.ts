import { assert, assertEquals, assertRejects } from "@std/assert";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { createApp } from "../../services/data-ingestion/app.ts";
import { configSchema } from "../../services/data-ingestion/config.ts";
import * as contract from "shared/contracts/data_ingestion.ts";
import { AppError } from "shared/errors.ts";
import { startTestService, type TestService } from "shared/testing/service.ts";
import type { CommandContext } from "./command.ts";
import { createIntakeClient } from "./intake_client.ts";
import { load } from "./load.ts";
import { sendFile } from "./send_file.ts";

async function start(): Promise<TestService> {
  const service = await startTestService("data-ingestion", configSchema, createApp);
  await service.call(contract.putSource, {
    project: "shop",
    name: "orders",
    body: { kind: "events", schema: { type: "object", properties: { n: { pattern: "^[0-9]+$" } } } },
  });
  return service;
}

/** A folder for the files of a test, and what the command prints. */
async function createDesk() {
  const folder = await Deno.makeTempDir({ prefix: "microml-load-" });
  const printed: string[] = [];
  const context: CommandContext = {
    print: (text) => printed.push(text),
    progress: () => {},
    connect: () => Promise.reject(new Error("load needs no bus")),
    path: (given) => `${folder}/${given}`,
    actor: "ml:test",
  };
  return {
    folder,
    printed,
    run: (file: string, { url }: Pick<TestService, "url">, options: Record<string, string> = {}) =>
      load.run({ positionals: [file], options: { source: "orders", url, ...options } }, context),
    write: (name: string, content: string | Uint8Array) =>
      Deno.writeFile(
        `${folder}/${name}`,
        typeof content === "string" ? new TextEncoder().encode(content) : content,
      ),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

const csv = `n,note\n${Array.from({ length: 3_000 }, (_, index) => `${index},"a\nb"\n`).join("")}`;

Deno.test("ml load takes a file in once, and tells what came of it", async () => {
  await using service = await start();
  await using desk = await createDesk();
  await desk.write("orders.csv", csv);
  assertEquals(await desk.run("orders.csv", service), 0);
  assertEquals(desk.printed.slice(0, 1), ['Loading as csv, fields divided by ","']);
  assert(desk.printed[1]?.startsWith("Taken: 3,000 records of orders.csv (SHA-256 "));
  assert(/orders +3,000 +3,000 +0 +0 +0 +yes/.test(desk.printed[2] ?? ""), desk.printed[2]);

  // Compressed, it is the same file.
  desk.printed.length = 0;
  await desk.write("copy.csv.gz", new Uint8Array(gzipSync(csv)));
  assertEquals(await desk.run("copy.csv.gz", service), 0);
  assert(desk.printed[0]?.startsWith("Loaded before, at "), desk.printed[0]);
  const { sources: [row] } = await service.call(contract.ledger, { source: "orders" });
  assertEquals([row?.accepted, row?.stored], [3_000, 3_000]);
});

Deno.test("ml load lists rejected records by line, and fails for them", async () => {
  await using service = await start();
  await using desk = await createDesk();
  await desk.write("orders.data", "n;note\n1;a\nx;b\n3\n4;d\n5;e\n6;f\n");
  assertEquals(await desk.run("orders.data", service), 1);
  const lines = desk.printed.filter((line) => line.startsWith("  line "));
  assertEquals(lines, [
    '  line 3: /n: must match pattern "^[0-9]+$", not "x"',
    "  line 4: has 1 field, and must have 2, as the header does",
  ]);
  assert(desk.printed.at(-1)?.includes("deno task ml rejected --source orders --file "));
});

Deno.test("ml load takes Parquet, and says when it cannot tell what a file is", async () => {
  await using service = await start();
  await using desk = await createDesk();
  const n = Array.from({ length: 1_500 }, (_, index) => String(index));
  await desk.write(
    "orders.parquet",
    new Uint8Array(parquetWriteBuffer({ columnData: [{ name: "n", data: n }] })),
  );
  assertEquals(await desk.run("orders.parquet", service), 0);
  await desk.write("unknown", "one\ntwo\n");
  await assertRejects(() => desk.run("unknown", service), AppError, "say it with --format");
  await assertRejects(() => desk.run("missing", service), AppError, "there is no such file");
  await assertRejects(() => desk.run("unknown", service, { format: "lines" }), AppError, "need one of logs");
});

Deno.test("sendFile() goes on where an upload stands, in pieces that end anywhere", async () => {
  await using service = await start();
  await using desk = await createDesk();
  const long = `n\n1\n${"0".repeat(50_000)}\n2\n`;
  await desk.write("long.csv", long);
  const client = createIntakeClient({ url: service.url, actor: "ml:test", onWait: () => {} });
  const upload = await service.call(contract.startUpload, {
    source: "orders",
    name: "long.csv",
    options: { format: "csv" },
  });
  const offsets: number[] = [];
  const done = await sendFile(client, {
    path: `${desk.folder}/long.csv`,
    upload,
    pieceBytes: 1_000,
    onProgress: ({ upload: { offset } }) => offsets.push(offset),
  });
  assertEquals([done.state, done.records], ["complete", 3]);
  // Two lines at first; then the piece grows until the long line is whole.
  assertEquals([offsets[0], offsets.at(-1)], [4, long.length]);
  // What believes to stand elsewhere asks, and finds that there is nothing left to do.
  assertEquals(await sendFile(client, { path: `${desk.folder}/long.csv`, upload, onProgress() {} }), done);
});

Deno.test("sendFile() waits for a service that is away, and goes on", async () => {
  await using service = await start();
  await using desk = await createDesk();
  await desk.write("orders.csv", csv);
  const upload = await service.call(contract.startUpload, {
    source: "orders",
    name: "orders.csv",
    options: { format: "csv" },
  });
  let failures = 0;
  await using door = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (failures++ < 2) return Response.json({}, { status: 503, headers: { "retry-after": "0" } });
    return await fetch(`${service.url}${pathname}`, request);
  });
  const reasons: string[] = [];
  const client = createIntakeClient({
    url: `http://127.0.0.1:${door.addr.port}`,
    actor: "ml:test",
    onWait: (reason) => reasons.push(reason),
  });
  const done = await sendFile(client, { path: `${desk.folder}/orders.csv`, upload, onProgress() {} });
  assertEquals([done.state, done.records], ["complete", 3_000]);
  assertEquals(reasons, ["Cannot reach data-ingestion: it answered with status 503"]);
});

Deno.test("createIntakeClient() tells what is wrong with an answer that it cannot read", async () => {
  const answers = [
    Response.json({ upload: 1 }),
    new Response("<html>"),
    new Response("<html>", { status: 418 }),
  ];
  await using door = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => answers.shift()!);
  const client = createIntakeClient({ url: `http://127.0.0.1:${door.addr.port}`, actor: "ml", onWait() {} });
  const ask = () => client.send({ method: "GET", path: "/v1/uploads/x" }, contract.uploadSchema);
  const error = await assertRejects(
    ask,
    AppError,
    "Cannot read data-ingestion's answer to GET /v1/uploads/x",
  );
  assertEquals(error.reasons.some(({ path }) => path === "/offset"), true);
  await assertRejects(ask, AppError, "Cannot read data-ingestion's answer to GET /v1/uploads/x");
  await assertRejects(ask, AppError, "it answered with status 418");
});

Deno.test("sendFile() tells what the service refuses for good", async () => {
  await using service = await start();
  await using desk = await createDesk();
  await desk.write("orders.csv", `n,n\n${"1,2\n".repeat(3_000_000)}`);
  await assertRejects(() => desk.run("orders.csv", service), AppError, 'names two columns "n"');
  const nowhere = createIntakeClient({ url: "http://127.0.0.1:1", actor: "ml", onWait() {}, patienceMs: 0 });
  const error = await assertRejects(
    () => nowhere.send({ method: "GET", path: "/" }, contract.uploadSchema),
    AppError,
  );
  assertEquals(error.code, "unavailable");
});
