/**
 * The intake of files, shown on one that is broken in ten ways: a bad line costs nothing but itself, and is told by its
 * number.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { createApp } from "../services/data-ingestion/app.ts";
import { configSchema } from "../services/data-ingestion/config.ts";
import * as contract from "shared/contracts/data_ingestion.ts";
import { MAX_LINE_BYTES } from "shared/files/file_record.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService, type TestService } from "shared/testing/service.ts";

const LINES = 200_000;
/** Every so many lines one is broken. */
const BROKEN_EVERY = 100;

const SCHEMA = {
  type: "object",
  required: ["order", "product", "quantity", "at"],
  properties: {
    order: { type: "string", pattern: "^o-[0-9]+$" },
    product: { type: "string" },
    quantity: { type: "string", pattern: "^[0-9]+$" },
    note: { type: "string", maxLength: 50 },
  },
};

/** A way to break a line, and what is said of it then. */
interface Breakage {
  line(good: { order: string; at: string }): Uint8Array;
  reasons: string;
}

const encoder = new TextEncoder();
const text = (line: string) => encoder.encode(line);

const BREAKAGES: readonly Breakage[] = [
  {
    line: ({ order, at }) => text(`${order},lamp,1,${at},"never closed`),
    reasons: "has a quote in field 5 that is not closed",
  },
  {
    line: ({ order, at }) => text(`${order},a 5" nail,1,${at},`),
    reasons: "has a quote within field 2, which does not begin with one",
  },
  {
    line: ({ order, at }) => text(`${order},"lamp"s,1,${at},`),
    reasons: "has text behind the closing quote of field 2",
  },
  {
    line: ({ order, at }) => text(`${order},lamp,1,${at}`),
    reasons: "has 4 fields, and must have 5, as the header does",
  },
  {
    line: ({ order, at }) => text(`${order},lamp,large,1,${at},`),
    reasons: "has 6 fields, and must have 5, as the header does",
  },
  {
    line: ({ order, at }) =>
      Uint8Array.from(`${order},caf\xe9,1,${at},`, (character) => character.charCodeAt(0)),
    reasons: "holds bytes that are no UTF-8",
  },
  {
    line: ({ order, at }) => text(`${order},la\0mp,1,${at},`),
    reasons: "holds the character U+0000, which cannot be stored",
  },
  {
    line: ({ order }) => text(`${order},lamp,x,yesterday,`),
    reasons: '/quantity must match pattern "^[0-9]+$", not "x"; ' +
      '/at must be a time such as 2011-05-02T08:26:00Z, for it is the time of the event: not "yesterday"',
  },
  {
    line: ({ at }) => text(`,,,${at},`),
    reasons: "/order must be there; /product must be there; /quantity must be there",
  },
  {
    line: ({ order, at }) => text(`${order},${"x".repeat(MAX_LINE_BYTES)},1,${at},`),
    reasons: `has ${MAX_LINE_BYTES + 37} bytes, and may have ${MAX_LINE_BYTES}`,
  },
];

/** Lines that are too long are as long as nine thousand others: a few are enough. */
const breakageOf = (line: number): Breakage | undefined => {
  if (line % BROKEN_EVERY !== 0) return undefined;
  const number = line / BROKEN_EVERY;
  const breakage = BREAKAGES[number % BREAKAGES.length]!;
  return breakage === BREAKAGES.at(-1) && number >= 50
    ? BREAKAGES[number % (BREAKAGES.length - 1)]
    : breakage;
};

/** Of fixed length, so that the reasons can tell sizes. */
const orderOf = (line: number) => `o-${String(line).padStart(6, "0")}`;
const timeOf = (line: number) => new Date(Date.UTC(2011, 0, 1) + line * 1_000).toISOString();

function* fileLines(): Generator<Uint8Array> {
  const newline = text("\n");
  yield text("order,product,quantity,at,note\n");
  for (let line = 2; line <= LINES; line++) {
    const good = { order: orderOf(line), at: timeOf(line) };
    yield breakageOf(line)?.line(good) ??
      text(`${good.order},"lamp, ""red""",${line},${good.at},`);
    yield newline;
  }
}

async function* pieces(bytes: Iterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  const joined = async () => new Uint8Array(await new Blob(parts).arrayBuffer());
  for (const part of bytes) {
    parts.push(part as Uint8Array<ArrayBuffer>);
    length += part.length;
    if (length < size) continue;
    yield await joined();
    parts = [];
    length = 0;
  }
  yield await joined();
}

async function rejectedLines(service: TestService): Promise<Map<number, string>> {
  const lines = new Map<number, string>();
  let after: string | undefined;
  do {
    const page = await service.call(contract.rejected, {
      source: "orders",
      limit: 1_000,
      ...(after === undefined ? {} : { after }),
    });
    for (const { file, reasons } of page.rejected) {
      lines.set(file!.line, reasons.map(({ path, message }) => `${path} ${message}`.trim()).join("; "));
    }
    after = page.next ?? undefined;
  } while (after !== undefined);
  return lines;
}

Deno.test("a file of 200,000 lines with 1% broken in ten ways: the good ones are stored, each bad one is listed", async () => {
  await using service = await startTestService("data-ingestion", configSchema, createApp);
  await service.call(contract.putSource, {
    project: "shop",
    name: "orders",
    body: { kind: "events", schema: SCHEMA, id: ["order"], time: "at" },
  });
  let upload = await service.call(contract.startUpload, {
    source: "orders",
    name: "orders.csv",
    options: { format: "csv" },
  });
  let rest: Uint8Array<ArrayBuffer> = new Uint8Array();
  const patch = async (body: Uint8Array<ArrayBuffer>, complete: boolean) => {
    const response = await fetch(`${service.url}/v1/uploads/${upload.upload}`, {
      method: "PATCH",
      headers: { "upload-offset": String(upload.offset), "upload-complete": complete ? "?1" : "?0" },
      body,
    });
    const reply = await response.json();
    assertEquals(response.status, 200, JSON.stringify(reply));
    const { offset } = upload;
    upload = contract.uploadSchema.parse(reply);
    return body.slice(upload.offset - offset);
  };
  for await (const piece of pieces(fileLines(), 4_000_000)) {
    rest = await patch(new Uint8Array(await new Blob([rest, piece]).arrayBuffer()), false);
  }
  await patch(rest, true);
  assertEquals([upload.state, upload.line, upload.records], ["complete", LINES, LINES - 1]);

  const broken = Array.from({ length: LINES + 1 }, (_, line) => line).filter((line) =>
    line > 1 && breakageOf(line)
  );
  const stored = LINES - 1 - broken.length;
  await eventually(async () => {
    const { sources: [row] } = await service.call(contract.ledger, { source: "orders" });
    assertEquals(row, {
      source: "orders",
      accepted: LINES - 1,
      pending: 0,
      stored,
      rejected: broken.length,
      duplicates: 0,
      deadLettered: 0,
      balanced: true,
    });
  }, { timeoutMs: 60_000 });

  const rejected = await rejectedLines(service);
  const otherwise = broken.filter((line) => rejected.get(line) !== breakageOf(line)!.reasons)
    .map((line) => [line, rejected.get(line)]);
  assertEquals([rejected.size, otherwise], [broken.length, []]);
  const wrong = await service.db`
    select id from events
    where data ->> 'quantity' is distinct from substr(id, 3)::int::text
      or data ->> 'product' <> 'lamp, "red"' or data ->> 'order' <> id
    limit 5`;
  assertEquals([...wrong], []);
});
