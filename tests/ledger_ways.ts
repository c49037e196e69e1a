/** The ways into data-ingestion, for the ledger's property test: what is sent, and how. @module */
import { assert, assertEquals } from "@std/assert";
import { headers as createHeaders } from "nats";
import type { Bus } from "shared/bus/connection.ts";
import { call } from "shared/bus/endpoints.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { startUpload, storeEvent } from "shared/contracts/data_ingestion.ts";
import { CLOUDEVENT_TYPE, CLOUDEVENTS_BATCH_TYPE, type DataRecord } from "shared/contracts/envelope.ts";
import { subject } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import {
  dataOf,
  type FaultName,
  type Form,
  idOf,
  inForm,
  type Item,
  pathsOf,
  type SourceModel,
  take,
} from "./ledger_model.ts";

export type Transport = "core" | "jetstream" | "store" | "http" | "wait" | "upload";

export interface Way {
  transport: Transport;
  form: Form;
}

const ways = (transport: Transport, ...forms: Form[]): Way[] => forms.map((form) => ({ transport, form }));

/** Of sources whose records are objects. */
export const RECORD_WAYS: readonly Way[] = [
  ...ways("core", "json", "array", "structured", "binary", "batch"),
  ...ways("jetstream", "json", "array", "structured", "binary", "batch"),
  ...ways("store", "json", "structured"),
  ...ways("http", "json", "array", "structured", "binary", "batch", "ndjson", "csv"),
  ...ways("wait", "json", "structured", "binary"),
  ...ways("upload", "ndjson", "csv"),
];
/** Of sources of logs. */
export const LOG_WAYS: readonly Way[] = [
  ...ways("core", "lines"),
  ...ways("jetstream", "lines"),
  ...ways("http", "lines", "array"),
  ...ways("store", "json"),
  ...ways("upload", "lines"),
];

/** Records that are sent together. */
export interface Sending {
  way: Way;
  records: readonly { order: number; fault: FaultName }[];
  /** Send it a second time under the same key, as one does who has lost the answer. */
  again: boolean;
  /** Where an upload is cut, in thousandths of its length. */
  cuts: readonly number[];
}

export interface Door {
  bus: Bus;
  /** Of data-ingestion's HTTP. */
  url: string;
  /** A number that no other call gets. */
  next: () => number;
  /** Whether who is not answered tries again: the service may be away. */
  patient: boolean;
}

const SINGLE: readonly Form[] = ["json", "structured", "binary"];
const FILES: readonly Form[] = ["ndjson", "csv", "lines"];
const CONTENT_TYPES: Readonly<Record<Form, string>> = {
  json: "application/json",
  array: "application/json",
  structured: CLOUDEVENT_TYPE,
  binary: "application/json",
  batch: CLOUDEVENTS_BATCH_TYPE,
  ndjson: "application/x-ndjson",
  csv: "text/csv",
  lines: "text/plain",
};

/** What can't be made on a way: a message with a mistake around its records has none. */
function impossibleOn({ transport, form }: Way): readonly FaultName[] {
  return transport === "store" ? ["unparsed", "noObject"] : form === "binary" ? ["noObject"] : [];
}

/** Sends the records, checks the answer, and tells the model. */
export async function send(door: Door, source: SourceModel, sending: Sending): Promise<void> {
  const { way } = sending;
  const records = SINGLE.includes(way.form) ? sending.records.slice(0, 1) : sending.records;
  const items = records.map((record) =>
    inForm({ ...record, tag: `tag-${door.next()}` }, way.form, impossibleOn(way))
  );
  const key = `key-${crypto.randomUUID()}`;
  const message = write(items, way.form);
  switch (way.transport) {
    case "core":
      await publishPlainly(door, source, message);
      return takeAll(source, items, (position) => new RegExp(`^EVENTS/\\d+/${position}$`));
    case "jetstream":
      await publishNamed(door, source, { ...message, key, again: sending.again });
      return takeAll(source, items, named(key, items.length));
    case "store":
    case "wait":
      return await storeAndWait(door, source, { ...message, key, item: items[0]!, sending });
    case "http":
      return await post(door, source, { ...message, key, items, sending });
    case "upload":
      return await upload(door, source, { ...message, items, sending });
  }
}

const named = (id: string, records: number) => (position: number) => records === 1 ? id : `${id}/${position}`;

function takeAll(
  source: SourceModel,
  items: readonly Item[],
  fallback: (position: number) => string | RegExp,
): void {
  items.forEach((item, position) => take(source, { ...item, fallback: fallback(position), file: null }));
}

interface Message {
  body: string;
  /** Beside the content type. */
  headers: Record<string, string>;
  form: Form;
}

function write(items: readonly Item[], form: Form): Message {
  const [first] = items;
  const headers = form === "binary" ? binaryHeaders(first!) : {};
  return { form, headers, body: bodyOf(items, form) };
}

const COLUMNS = ["order", "tag", "quantity", "level", "time", "note"] as const;

function bodyOf(items: readonly Item[], form: Form): string {
  switch (form) {
    case "array":
    case "batch":
      return `[${items.map(jsonOf).join(",")}]`;
    case "csv":
      return [COLUMNS.join(","), ...items.map(csvOf)].join("\n") + "\n";
    case "ndjson":
      return items.map((item) => `${jsonOf(item)}\n`).join("");
    case "lines":
      return items.map((item) => `${lineOf(item)}\n`).join("");
    default:
      return jsonOf(items[0]!);
  }
}

function jsonOf(item: Item): string {
  if (item.fault === "unparsed") return `{"tag": "${item.tag}"`;
  if (item.fault === "noObject") return `"${item.tag}"`;
  const data = dataOf(item);
  return JSON.stringify(item.form === "structured" || item.form === "batch" ? cloudEvent(item, data) : data);
}

function cloudEvent(item: Item, data: DataRecord): DataRecord {
  return { ...attributesOf(item, data), data };
}

function attributesOf({ order, fault }: Item, data: DataRecord): Record<string, string> {
  return {
    specversion: "1.0",
    source: "/test",
    type: "order",
    ...(fault === "unaddressed" ? {} : { id: `o-${order}` }),
    ...(typeof data["time"] === "string" ? { time: data["time"] } : {}),
  };
}

function binaryHeaders(item: Item): Record<string, string> {
  const attributes = Object.entries(attributesOf(item, dataOf(item)));
  return Object.fromEntries(attributes.map(([name, value]) => [`ce-${name}`, value]));
}

function csvOf(item: Item): string {
  if (item.fault === "unparsed") return item.tag;
  const data = dataOf(item);
  return COLUMNS.map((column) => data[column] ?? "").join(",");
}

function lineOf(item: Item): string {
  if (item.fault === "unparsed") return `tag="${item.tag}`;
  return Object.entries(dataOf(item)).map(([name, value]) => `${name}=${value}`).join(" ");
}

const encoder = new TextEncoder();

/** As `nats pub` does: nobody acknowledges it. */
async function publishPlainly({ bus }: Door, { name }: SourceModel, message: Message): Promise<void> {
  const headers = createHeaders();
  if (message.form !== "json" && message.form !== "array") {
    headers.set("Content-Type", CONTENT_TYPES[message.form]);
  }
  for (const [header, value] of Object.entries(message.headers)) headers.set(header, value);
  bus.nc.publish(subject.events(name), encoder.encode(message.body), { headers });
  await bus.nc.flush();
}

async function publishNamed(
  { bus }: Door,
  { name }: SourceModel,
  { body, headers, form, key, again }: Message & { key: string; again: boolean },
): Promise<void> {
  const message = {
    subject: subject.events(name),
    data: encoder.encode(body),
    headers: { ...headers, "Content-Type": CONTENT_TYPES[form] },
    messageId: key,
  };
  for (let times = again ? 2 : 1; times > 0; times--) await publishAll(bus, [message]);
}

type Answer = { id: string; status: string } | { paths: string[] };

async function storeAndWait(
  door: Door,
  source: SourceModel,
  message: Message & { key: string; item: Item; sending: Sending },
): Promise<void> {
  const { key, item, sending } = message;
  const place = { ...item, fallback: key, file: null };
  const paths = pathsOf(source, item);
  const isKnown = paths.length === 0 && source.stored.has(String(idOf(source, place)));
  const ask = () =>
    sending.way.transport === "store" ? request(door, source, message) : wait(door, source, message);
  const answer = await ask();
  if ("paths" in answer) assertEquals(answer.paths, paths);
  else {
    assertEquals([answer.id, paths], [idOf(source, place), []]);
    // What was sent before may still be on its way.
    if (!isKnown) assertEquals(answer.status, "stored");
  }
  if (sending.again) {
    assertEquals(await ask(), answer, "the same request is answered as the first time");
  }
  take(source, place);
}

const placesOf = (reasons: readonly { path: string }[]) =>
  [...new Set(reasons.map(({ path }) => path))].toSorted();

async function request(
  door: Door,
  { name }: SourceModel,
  { body, key }: { body: string; key: string },
): Promise<Answer> {
  return await insist(door, async () => {
    try {
      const event = JSON.parse(body) as DataRecord;
      return await call(door.bus, storeEvent, { source: name, event }, { idempotencyKey: key });
    } catch (error) {
      if (error instanceof AppError && error.code === "invalid") return { paths: placesOf(error.reasons) };
      throw error;
    }
  });
}

async function wait(door: Door, source: SourceModel, message: Message & { key: string }): Promise<Answer> {
  const { status, reply } = await postOnce(door, source, { ...message, more: { prefer: "wait" } });
  if (status === 400) return { paths: placesOf(reply["reasons"] as { path: string }[]) };
  assert(status === 200 || status === 201, JSON.stringify(reply));
  assertEquals(reply["status"], status === 201 ? "stored" : "duplicate");
  return reply as { id: string; status: string };
}

async function postOnce(
  door: Door,
  { name }: SourceModel,
  { body, headers, form, key, more = {} }: Message & { key: string; more?: Record<string, string> },
): Promise<{ status: number; reply: DataRecord }> {
  return await insist(door, async () => {
    const response = await fetch(`${door.url}/v1/events/${name}`, {
      method: "POST",
      headers: { ...headers, ...more, "content-type": CONTENT_TYPES[form], "idempotency-key": key },
      body,
    });
    return { status: response.status, reply: await response.json() };
  });
}

async function post(
  door: Door,
  source: SourceModel,
  message: Message & { key: string; items: readonly Item[]; sending: Sending },
): Promise<void> {
  const { form, key, items, sending } = message;
  for (let times = sending.again ? 2 : 1; times > 0; times--) {
    const { status, reply } = await postOnce(door, source, message);
    if (SINGLE.includes(form) && items[0]!.fault === "unparsed") {
      // Refused at the door: nobody has taken it.
      assertEquals(status, 400);
      return;
    }
    assertEquals(
      [status, reply["accepted"], reply["receipt"]],
      [202, items.length, key],
      JSON.stringify(reply),
    );
  }
  if (FILES.includes(form)) takeFile(source, items, key);
  else takeAll(source, items, named(`${source.name}:${key}:0`, items.length));
}

function takeFile(source: SourceModel, items: readonly Item[], file: string): void {
  items.forEach((item, index) => {
    const line = index + (item.form === "csv" ? 2 : 1);
    take(source, { ...item, fallback: `${file}:${line}`, file: { name: file, line } });
  });
}

/** Sends a file in pieces, some of them twice, and goes on where the service says that it stands. */
async function upload(
  door: Door,
  source: SourceModel,
  { body, form, items, sending }: Message & { items: readonly Item[]; sending: Sending },
): Promise<void> {
  const bytes = encoder.encode(body);
  const format = form as "ndjson" | "csv" | "lines";
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  const begin = () =>
    insist(door, () =>
      call(door.bus, startUpload, {
        source: source.name,
        name: `orders.${format}`,
        options: { format },
        sha256,
      }));
  const ends = sending.cuts.map((share) => Math.floor(share / 1_000 * bytes.length)).toSorted((a, b) =>
    a - b
  );
  let { upload: name, offset, state } = await begin();
  const patch = async (from: number, to: number) => {
    const isLast = to === bytes.length;
    const answer = await insist(door, async () => {
      const response = await fetch(`${door.url}/v1/uploads/${name}`, {
        method: "PATCH",
        headers: { "upload-offset": String(from), "upload-complete": isLast ? "?1" : "?0" },
        body: bytes.slice(from, to),
      });
      const reply = await response.json();
      if (response.status === 409 && response.headers.get("retry-after") !== null) {
        throw new Away(reply.detail);
      }
      return { status: response.status, reply };
    });
    // After an answer that was lost, or with a piece sent twice, it stands further on.
    ({ offset, state } = answer.status === 200 ? answer.reply : await begin());
    return answer.status;
  };
  for (const end of [...ends, bytes.length]) {
    const from = offset;
    if (end < from || state !== "open") continue;
    const status = await patch(from, end);
    assert(status === 200 || door.patient, `the upload at ${from} is answered with ${status}`);
    if (sending.again && from < offset && state === "open") assertEquals(await patch(from, end), 409);
  }
  while (state === "open") await patch(offset, bytes.length);
  const again = await begin();
  assertEquals([again.upload, again.state, again.records], [name, "complete", items.length]);
  takeFile(source, items, sha256);
}

/** Nobody could be asked, or nobody has the time. */
class Away extends Error {}

const AWAY_CODES: readonly string[] = ["unavailable", "timeout", "busy"];

/** Asks; and again, where the service may be away, until it is answered. */
export async function insist<T>({ patient }: Pick<Door, "patient">, ask: () => Promise<T>): Promise<T> {
  if (!patient) return await ask();
  let failure: unknown;
  const answer = await eventually(async () => {
    try {
      const answered = await ask();
      const status = (answered as { status?: unknown }).status;
      return status === 429 || status === 503 ? false : { answered };
    } catch (error) {
      if (error instanceof AppError ? AWAY_CODES.includes(error.code) : isAway(error)) return false;
      failure = error;
      return { answered: undefined as T };
    }
  }, { timeoutMs: 60_000 });
  if (failure !== undefined) throw failure;
  return answer.answered;
}

/** fetch() says so with a TypeError; a body that broke off does so too. */
const isAway = (error: unknown) =>
  error instanceof Away || error instanceof TypeError || error instanceof SyntaxError;
