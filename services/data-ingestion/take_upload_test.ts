import { assert, assertEquals, assertRejects } from "@std/assert";
import { parquetWriteBuffer } from "hyparquet-writer";
import type { FileOptions, FileRecords, Upload } from "shared/contracts/data_ingestion.ts";
import type { Outgoing } from "shared/bus/message.ts";
import type { Database } from "shared/db/connection.ts";
import { AppError, unavailable } from "shared/errors.ts";
import { silentLogger } from "shared/log.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { Capacity } from "./capacity.ts";
import { forgetUploads, insertUpload, selectUpload } from "./repository/uploads.ts";
import { takeUpload, type TakeUploadDeps, type UploadPart, WrongOffset } from "./take_upload.ts";

const CSV: FileOptions = { format: "csv", delimiter: ",", empty: "omit" };

function begin(db: Database, options: Partial<Upload> = {}): Promise<Upload> {
  return insertUpload(db, {
    upload: crypto.randomUUID(),
    source: "orders",
    name: "orders.csv",
    options: CSV,
    sha256: null,
    actor: "ann",
    ...options,
  });
}

/** What publishes into a list, and whatever else it is told. */
async function createDeps(db: Database, more: Partial<TakeUploadDeps> = {}) {
  const folder = await Deno.makeTempDir({ prefix: "microml-spool-" });
  const published: Outgoing[] = [];
  const deps: TakeUploadDeps = {
    db,
    publish(messages) {
      published.push(...messages);
      return Promise.resolve();
    },
    findSource: () => Promise.resolve(undefined),
    privacy: undefined,
    spool: { folder, maxBytes: 1_000_000 },
    capacity: new Capacity(100_000_000),
    answerMs: 5_000,
    log: silentLogger,
    ...more,
  };
  return { deps, published, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

const part = (
  { upload }: Upload,
  offset: number,
  more: Partial<UploadPart> & { text?: string | ArrayBuffer },
) => {
  const { text = "", ...rest } = more;
  const bytes = ReadableStream.from([
    typeof text === "string" ? new TextEncoder().encode(text) : new Uint8Array(text),
  ]);
  return { upload, offset, complete: false, headers: {}, bytes, ...rest };
};

const linesOf = (published: readonly Outgoing[]) =>
  published.flatMap(({ data }) => (JSON.parse(new TextDecoder().decode(data)) as FileRecords).records)
    .map(({ line }) => line);

const header = "id,note\n";
const text = `${header}${Array.from({ length: 2_500 }, (_, index) => `${index},"a\nb"\n`).join("")}`;

Deno.test("takeUpload() takes a file in parts that end anywhere, each record once", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await using taking = await createDeps(db);
  const { deps, published } = taking;
  let upload = await begin(db);
  while (upload.state === "open") {
    // A part of another length each time; the first ends within the header.
    const length = upload.offset === 0 && upload.records === 0 && published.length === 0 ? 30 : 7_777;
    const piece = text.slice(upload.offset, upload.offset + length);
    const complete = upload.offset + length >= text.length;
    upload = await takeUpload(deps, part(upload, upload.offset, { text: piece, complete }));
  }
  assertEquals([upload.offset, upload.line, upload.records], [text.length, 5_001, 2_500]);
  assertEquals(linesOf(published), Array.from({ length: 2_500 }, (_, index) => 2 * index + 2));
  const { file } = JSON.parse(new TextDecoder().decode(published[0]!.data)) as FileRecords;
  assertEquals(file, upload.upload);
});

Deno.test("takeUpload() notes a header that comes alone", async () => {
  await using database = await createTestDatabase("data-ingestion");
  await using taking = await createDeps(database.db);
  const upload = await begin(database.db);
  const after = await takeUpload(taking.deps, part(upload, 0, { text: `${header}1,` }));
  assertEquals([after.offset, after.line, after.records, after.state], [8, 1, 0, "open"]);
  const done = await takeUpload(taking.deps, part(upload, 8, { text: "1,x", complete: true }));
  assertEquals([done.offset, done.line, done.records, done.state], [11, 2, 1, "complete"]);
});

Deno.test("takeUpload() goes on behind what JetStream has when publishing fails, with the same messages", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const lines = Array.from({ length: 20_000 }, (_, index) => `${index},x\n`).join("");
  let calls = 0;
  const sent: Outgoing[] = [];
  await using taking = await createDeps(db, {
    publish(messages) {
      sent.push(...messages);
      return ++calls === 2 ? Promise.reject(unavailable("Cannot publish")) : Promise.resolve();
    },
  });
  const upload = await begin(db, { sha256: "ab".repeat(32) });
  const error = await assertRejects(
    () => takeUpload(taking.deps, part(upload, 0, { text: header + lines, complete: true })),
    AppError,
    "7999 records before that are accepted",
  );
  assertEquals(error.code, "unavailable");
  const { offset, records, state } = (await selectUpload(db, upload.upload))!;
  assertEquals([records, state], [7_999, "open"]);
  const failed = sent.slice(8).map(({ messageId }) => messageId);
  sent.length = 0;
  const done = await takeUpload(
    taking.deps,
    part(upload, offset, { text: (header + lines).slice(offset), complete: true }),
  );
  assertEquals([done.records, done.state], [20_000, "complete"]);
  assertEquals(sent.slice(0, failed.length).map(({ messageId }) => messageId), failed);
  assert(failed[0]?.startsWith(`orders:${upload.upload}:8001-`));
});

Deno.test("takeUpload() keeps the whole records of a connection that breaks", async () => {
  await using database = await createTestDatabase("data-ingestion");
  await using taking = await createDeps(database.db);
  const upload = await begin(database.db);
  async function* broken() {
    yield new TextEncoder().encode(`${header}1,a\n2,b\n3,`);
    throw new TypeError("the connection broke");
  }
  await assertRejects(
    () => takeUpload(taking.deps, part(upload, 0, { bytes: broken(), complete: true })),
    TypeError,
  );
  const { offset, line, records, state } = (await selectUpload(database.db, upload.upload))!;
  assertEquals([offset, line, records, state], [16, 3, 2, "open"]);
});

Deno.test("takeUpload() lets one sender at a time go on, from the right place", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await using taking = await createDeps(db);
  const { deps } = taking;
  const upload = await begin(db);
  const started = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  async function* slow() {
    started.resolve();
    await goOn.promise;
    yield new TextEncoder().encode(`${header}1,a\n`);
  }
  const first = takeUpload(deps, part(upload, 0, { bytes: slow(), complete: true }));
  await started.promise;
  const second = await assertRejects(() => takeUpload(deps, part(upload, 0, {})), AppError, "somebody else");
  assertEquals([second.code, second.retryAfter], ["conflict", 10]);
  const elsewhere = await assertRejects(
    () => takeUpload(deps, part(upload, 5, {})),
    WrongOffset,
    "it stands at 0",
  );
  assertEquals(elsewhere.reasons, [{ path: "/Upload-Offset", message: "is 5, and must be 0" }]);
  goOn.resolve();
  assertEquals((await first).state, "complete");
  await assertRejects(() => takeUpload(deps, part(upload, 12, {})), AppError, "it is complete");
});

Deno.test("takeUpload() gives up where another sender was let on meanwhile", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await using taking = await createDeps(db, {
    async publish() {
      await db`update uploads set holder = ${crypto.randomUUID()}`;
    },
  });
  const upload = await begin(db);
  const error = await assertRejects(
    () => takeUpload(taking.deps, part(upload, 0, { text: `${header}1,a\n`, complete: true })),
    AppError,
    "somebody else",
  );
  assertEquals(error.code, "conflict");
  const stands = (await selectUpload(db, upload.upload))!;
  assertEquals([stands.offset, stands.state], [0, "open"]);
});

Deno.test("takeUpload() takes a Parquet file whole, without the rows taken before", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  let calls = 0;
  const taken: Outgoing[] = [];
  await using taking = await createDeps(db, {
    publish(messages) {
      if (++calls === 2) return Promise.reject(unavailable("Cannot publish"));
      taken.push(...messages);
      return Promise.resolve();
    },
  });
  const { deps } = taking;
  const numbers = Int32Array.from({ length: 20_000 }, (_, index) => index);
  const file = parquetWriteBuffer({ columnData: [{ name: "n", data: numbers }], rowGroupSize: 6_000 });
  const upload = await begin(db, { options: { ...CSV, format: "parquet" } });
  await assertRejects(
    () => takeUpload(deps, part(upload, 0, { text: file })),
    AppError,
    "send the whole file",
  );
  await assertRejects(() => takeUpload(deps, part(upload, 0, { text: file, complete: true })), AppError);
  const { offset } = (await selectUpload(db, upload.upload))!;
  assertEquals(offset, 8_000);
  const done = await takeUpload(deps, part(upload, offset, { text: file, complete: true }));
  assertEquals([done.offset, done.records, done.state], [20_000, 20_000, "complete"]);
  assertEquals(linesOf(taken), Array.from({ length: 20_000 }, (_, index) => index + 1));
  assertEquals([...Deno.readDirSync(deps.spool.folder)], []);
});

Deno.test("takeUpload() refuses a Parquet file beyond the limit, and one of nothing", async () => {
  await using database = await createTestDatabase("data-ingestion");
  await using taking = await createDeps(database.db);
  const upload = await begin(database.db, { options: { ...CSV, format: "parquet" } });
  const large = part(upload, 0, { text: new ArrayBuffer(1_000_001), complete: true });
  assertEquals((await assertRejects(() => takeUpload(taking.deps, large), AppError)).code, "too_large");
  const none = part(upload, 0, { text: "", complete: true });
  await assertRejects(() => takeUpload(taking.deps, none), AppError, "it is no Parquet file");
});

Deno.test("forgetUploads() forgets what nobody has gone on with", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const old = await begin(db);
  const young = await begin(db);
  await db`update uploads set changed_at = now() - interval '31 days' where upload = ${old.upload}`;
  assertEquals(await forgetUploads(db, 30), 1);
  assertEquals([await selectUpload(db, old.upload), (await selectUpload(db, young.upload))?.upload], [
    undefined,
    young.upload,
  ]);
});
