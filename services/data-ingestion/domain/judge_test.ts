import { assert, assertEquals, assertThrows } from "@std/assert";
import type { SourceBody } from "shared/contracts/source.ts";
import { AppError } from "shared/errors.ts";
import { createPrivacy } from "shared/privacy.ts";
import { type Circumstances, judge, type Judgement } from "./judge.ts";
import type { Received } from "./received.ts";
import { compileSource } from "./source.ts";

const NOW = Date.parse("2026-11-23T12:00:00.000Z");
const ARRIVED = "2026-11-23T11:59:59.000Z";

const orders = (body: Partial<SourceBody> = {}) => ({
  kind: "events",
  schema: {
    type: "object",
    required: ["order", "quantity"],
    properties: {
      order: { type: "string", pattern: "^[0-9]{6}$" },
      quantity: { type: "integer" },
      at: { type: "string" },
    },
  },
  id: ["order"],
  time: "at",
  ...body,
});

function circumstances(
  body: Partial<SourceBody> = {},
  more: Partial<Circumstances> = {},
): Circumstances {
  const source = compileSource({ name: "orders", project: "shop", version: 3, body: orders(body) });
  return {
    sources: new Map([["orders", source]]),
    clocks: new Map([["shop", { kind: "wall", newest: undefined }]]),
    nowMs: NOW,
    maxRecordBytes: 10_000,
    privacy: undefined,
    ...more,
  };
}

let sequence = 0;
const message = (payload: unknown, headers: Record<string, string> = {}): Received => ({
  source: "orders",
  data: payload instanceof Uint8Array
    ? payload
    : new TextEncoder().encode(typeof payload === "string" ? payload : JSON.stringify(payload)),
  headers,
  arrivedAt: ARRIVED,
  origin: { sequence: ++sequence },
});

const order = { order: "536365", quantity: 6, at: "2010-12-01 08:26:00" };
const reasonsOf = ({ refused }: Judgement) =>
  refused[0]?.reasons.map(({ path, message }) => `${path} ${message}`);
const idOf = ({ accepted }: Judgement) => accepted[0]?.id;

Deno.test("judge() accepts a plain record with its declared id and time", () => {
  const { accepted, refused } = judge([message(order)], circumstances());
  assertEquals(refused, []);
  const { id, time, knownAt, definition, project, data, text } = accepted[0]!;
  assertEquals(
    { id, time, knownAt, definition, project, data, text },
    {
      id: "536365",
      time: "2010-12-01T08:26:00.000Z",
      knownAt: ARRIVED,
      definition: 3,
      project: "shop",
      data: order,
      text: JSON.stringify(order),
    },
  );
});

Deno.test("judge() finds every reason of a record, not only the first", () => {
  const judgement = judge([message({ quantity: "six", at: "yesterday" })], circumstances());
  assertEquals(reasonsOf(judgement), [
    "/order must be there",
    '/quantity must be integer, not "six"',
    '/at must be a time such as 2011-05-02T08:26:00Z, for it is the time of the event: not "yesterday"',
  ]);
  assertEquals(judgement.refused[0]?.payload, { json: { quantity: "six", at: "yesterday" } });
});

Deno.test("judge() refuses what is no record, with its text", () => {
  const broken = judge([message('{"order": ')], circumstances());
  assertEquals(broken.refused[0]?.payload, { text: '{"order": ' });
  assert(reasonsOf(broken)?.[0]?.startsWith(" must be JSON:"));
  assertEquals(reasonsOf(judge([message(new Uint8Array([0xff, 0x22]))], circumstances())), [
    " must be text in UTF-8",
  ]);
  assertEquals(reasonsOf(judge([message("17")], circumstances())), [" must be a JSON object, not a number"]);
  assertEquals(reasonsOf(judge([message("[]")], circumstances())), [" must hold at least one record"]);
});

Deno.test("judge() refuses records of a source that is not defined, and names it", () => {
  const judgement = judge([{ ...message(order), source: "ordres" }], circumstances());
  assertEquals(reasonsOf(judgement), [' comes from the source "ordres", which is not defined']);
});

Deno.test("judge() refuses what could not be kept as it came", () => {
  const refused = (text: string) => reasonsOf(judge([message(text)], circumstances()));
  assertEquals(refused('{"order":"536365","quantity":12345678901234567890,"at":"2010-12-01"}'), [
    "/quantity is an integer beyond 2^53, which JSON readers round: send it as text",
  ]);
  assertEquals(refused('{"order":"536365","quantity":1,"at":"2010-12-01","note":"a\\u0000b"}'), [
    "/note holds the character U+0000, which cannot be stored",
  ]);
  assertEquals(refused('{"order":"536365","quantity":1,"at":"2010-12-01","note":["\\ud83d"]}'), [
    "/note/0 holds half of a surrogate pair, which is no character",
  ]);
  const fine =
    '{"order":"536365","quantity":9007199254740991,"at":"2010-12-01","x":1e300,"y":"\\ud83d\\ude00"}';
  assertEquals(refused(fine), undefined);
});

Deno.test("judge() refuses a record that is too large", () => {
  const judgement = judge([message({ ...order, note: "\u00e9".repeat(6_000) })], circumstances());
  assertEquals(reasonsOf(judgement), [" has 12068 bytes, and may have 10000"]);
});

Deno.test("judge() refuses the future, by the wall", () => {
  const at = (time: string, body: Partial<SourceBody> = {}) =>
    reasonsOf(judge([message({ ...order, at: time })], circumstances(body)));
  assertEquals(at("3000-01-01T00:00:00Z"), [
    "/at lies in the future: 3000-01-01T00:00:00.000Z is after 2026-11-23T12:05:00.000Z",
  ]);
  assertEquals(at("2026-11-23T12:04:59Z"), undefined);
  assertEquals(at("2026-11-23T13:00:00Z", { futureBound: "PT2H" }), undefined);
  const ahead = { ...message({ order: "536365", quantity: 1 }), arrivedAt: "2026-11-23T13:00:00.000Z" };
  assertEquals(reasonsOf(judge([ahead], circumstances({ time: null }))), undefined);
});

Deno.test("judge() lets an event clock leap, unless its source declares a bound", () => {
  const clocks = new Map([["shop", { kind: "event", newest: "2010-12-01T00:00:00.000Z" } as const]]);
  const at = (time: string, body: Partial<SourceBody> = {}) =>
    reasonsOf(judge([message({ ...order, at: time })], circumstances(body, { clocks })));
  assertEquals(at("2011-06-01"), undefined);
  assertEquals(at("3000-01-01")?.length, 1);
  assertEquals(at("2010-12-05", { futureBound: "P7D" }), undefined);
  assertEquals(at("2010-12-09", { futureBound: "P7D" }), [
    "/at lies too far ahead of the project's clock: 2010-12-09T00:00:00.000Z is after 2010-12-08T00:00:00.000Z",
  ]);
});

Deno.test("judge() moves the clock on within a batch", () => {
  const clocks = new Map([["shop", { kind: "event", newest: "2010-12-01T00:00:00.000Z" } as const]]);
  const days = ["2010-12-05", "2010-12-10", "2010-12-03"].map((at, index) => ({
    ...order,
    order: `53636${index}`,
    at,
  }));
  const { accepted } = judge([message(days)], circumstances({ futureBound: "P7D" }, { clocks }));
  assertEquals(accepted.length, 3);
});

Deno.test("judge() names an event by its envelope, its fields, its message, or where it came from", () => {
  const envelope = { specversion: "1.0", id: "e-1", source: "/tills/4", type: "order" };
  const nothingDeclared = circumstances({ id: [], time: null });
  assertEquals(idOf(judge([message({ ...envelope, data: order })], circumstances())), "e-1");
  assertEquals(idOf(judge([message(order)], circumstances({ id: ["order", "quantity"] }))), '["536365","6"]');
  assertEquals(idOf(judge([message(order, { "Nats-Msg-Id": "m-1" })], nothingDeclared)), "m-1");
  const two = judge([message([order, order], { "Nats-Msg-Id": "m-1" })], nothingDeclared);
  assertEquals(two.accepted.map(({ id }) => id), ["m-1/0", "m-1/1"]);
  const plain = message(order);
  assertEquals(idOf(judge([plain], nothingDeclared)), `EVENTS/${sequence}/0`);
  const missing = judge([message({ ...order, order: null })], circumstances({ schema: {} }));
  assertEquals(reasonsOf(missing), [
    "/order must be a text, a number or true or false, for it is part of the id",
  ]);
});

Deno.test("judge() keeps each state of an entity as a record of its own", () => {
  const source = circumstances({ kind: "entities" });
  const later = { ...order, at: "2010-12-02" };
  const { accepted, repeated } = judge([message([order, later, later])], source);
  assertEquals(accepted.map(({ id }) => id), [
    "536365@2010-12-01T08:26:00.000Z",
    "536365@2010-12-02T00:00:00.000Z",
  ]);
  assertEquals(repeated.length, 1);
});

Deno.test("judge() takes the second record with an id for a duplicate", () => {
  const { accepted, repeated } = judge([message(order), message([order])], circumstances());
  assertEquals(accepted.length, 1);
  assertEquals(repeated.map(({ id, position }) => ({ id, position })), [{ id: "536365", position: 0 }]);
});

Deno.test("judge() dates an event by its field, its envelope, or its arrival", () => {
  const noField = circumstances({ time: null });
  const timeOf = (payload: unknown) => judge([message(payload)], noField).accepted[0]?.time;
  const envelope = { specversion: "1.0", id: "e-1", source: "/tills/4", type: "order", data: order };
  assertEquals(timeOf({ ...envelope, time: "2011-01-01T10:00:00+02:00" }), "2011-01-01T08:00:00.000Z");
  assertEquals(timeOf(order), ARRIVED);
  assert(
    reasonsOf(judge([message({ ...envelope, time: "soon" })], noField))?.[0]?.startsWith(
      "/time must be a time",
    ),
  );
});

Deno.test("judge() dates what was known as the source declares", () => {
  const knownAt = (declared: SourceBody["knownAt"], more = {}) =>
    judge([message({ ...order, ...more })], circumstances({ knownAt: declared }));
  assertEquals(knownAt("arrival").accepted[0]?.knownAt, ARRIVED);
  assertEquals(knownAt("event_time").accepted[0]?.knownAt, "2010-12-01T08:26:00.000Z");
  assertEquals(knownAt({ delay: "P1D" }).accepted[0]?.knownAt, "2010-12-02T08:26:00.000Z");
  assertEquals(
    knownAt({ field: "told" }, { told: "2010-12-05" }).accepted[0]?.knownAt,
    "2010-12-05T00:00:00.000Z",
  );
  assert(reasonsOf(knownAt({ field: "told" }))?.[0]?.includes("when the record was known: it is not there"));
});

Deno.test("judge() refuses what comes later than the source's bound, and names both times", () => {
  const at = (time: string, more: Partial<Circumstances> = {}) =>
    reasonsOf(judge([message({ ...order, at: time })], circumstances({ lateBound: "P2D" }, more)));
  assertEquals(at("2026-11-21T12:00:00Z"), undefined);
  assertEquals(at("2026-11-21T11:00:00Z"), [
    "/at comes too late: 2026-11-21T11:00:00.000Z is before 2026-11-21T11:59:59.000Z, P2D before its arrival at 2026-11-23T11:59:59.000Z",
  ]);
  const clocks = new Map([["shop", { kind: "event", newest: "2010-12-10T00:00:00.000Z" } as const]]);
  assertEquals(at("2010-12-08", { clocks }), undefined);
  assertEquals(at("2010-12-07", { clocks }), [
    "/at comes too late: 2010-12-07T00:00:00.000Z is before 2010-12-08T00:00:00.000Z, P2D before the newest event, of 2010-12-10T00:00:00.000Z",
  ]);
  const first = new Map([["shop", { kind: "event", newest: undefined } as const]]);
  assertEquals(at("2010-12-07", { clocks: first }), undefined);
});

Deno.test("judge() takes events out of order within the bound, by the newest of the batch", () => {
  const clocks = new Map([["shop", { kind: "event", newest: "2010-12-10T00:00:00.000Z" } as const]]);
  const days = ["2010-12-09", "2010-12-12", "2010-12-11", "2010-12-09"];
  const orders = days.map((at, index) => ({ ...order, order: `53636${index}`, at }));
  const { accepted, refused } = judge([message(orders)], circumstances({ lateBound: "P2D" }, { clocks }));
  assertEquals(accepted.map(({ position }) => position), [0, 1, 2]);
  assertEquals(refused.map(({ position, clock }) => [position, clock]), [[3, "2010-12-12T00:00:00.000Z"]]);
});

Deno.test("judge() counts what it received by source and day, whatever became of it", () => {
  const yesterday = { ...message([order, {}]), arrivedAt: "2026-11-22T10:00:00.000Z" };
  const { received } = judge([message(order), yesterday, message("{"), message([order, 1])], circumstances());
  assertEquals(received, [
    { source: "orders", day: "2026-11-23", records: 4 },
    { source: "orders", day: "2026-11-22", records: 2 },
  ]);
});

Deno.test("judge() says whose state a record of an entity is, and names it by the envelope where it has one", () => {
  const source = circumstances({ kind: "entities", id: ["order", "quantity"] });
  const envelope = { specversion: "1.0", id: "e-1", source: "/tills/4", type: "order" };
  const { accepted } = judge([message(order), message({ ...envelope, data: order })], source);
  assertEquals(accepted.map(({ id, entity }) => [id, entity]), [
    ['["536365","6"]@2010-12-01T08:26:00.000Z', '["536365","6"]'],
    ["e-1", '["536365","6"]'],
  ]);
  assertEquals(judge([message(order)], circumstances()).accepted[0]?.entity, undefined);
});

Deno.test("judge() names a record of a file by its line", () => {
  const records = [{ line: 2, data: order }, { line: 3, data: order }];
  const file = message({ file: "f00d", records }, {
    "Content-Type": "application/vnd.microml.file-records+json",
    "Nats-Msg-Id": "m-1",
  });
  const { accepted } = judge([file], circumstances({ id: [] }));
  assertEquals(accepted.map(({ id, file }) => [id, file]), [
    ["f00d:2", { name: "f00d", line: 2 }],
    ["f00d:3", { name: "f00d", line: 3 }],
  ]);
});

const privacy = createPrivacy("a key of the tests that is long enough");
const secretOrders = (body: Partial<SourceBody> = {}) =>
  circumstances({ secrets: { order: "hash", card: "drop" }, ...body }, { privacy });

Deno.test("judge() checks secrets as they came, then keeps none, not even in ids", () => {
  const { accepted, refused } = judge([message({ ...order, card: "4111" })], secretOrders());
  assertEquals(refused, []);
  const kept = { ...order, order: privacy.hash("536365") };
  assertEquals(accepted[0]?.data, kept);
  assertEquals(accepted[0]?.text, JSON.stringify(kept));
  assertEquals(accepted[0]?.id, privacy.hash("536365"));
  const bad = judge([message({ ...order, order: "5363651", card: "4111" })], secretOrders());
  assertEquals(reasonsOf(bad), ['/order must match pattern "^[0-9]{6}$"']);
  assertEquals(bad.refused[0]?.payload, { json: { ...order, order: privacy.hash("5363651") } });
  assertEquals(bad.refused[0]?.headers, { "Microml-Secrets": "protected" });
});

Deno.test("judge() seals what it can't read of a source with secrets, and quotes nothing of it", () => {
  for (
    const text of ['{"order":"536365"', '"536365"', '["536365"]', '{"specversion":"1.0","data":"536365"}']
  ) {
    const { refused } = judge([message(text)], secretOrders());
    const { payload, reasons } = refused[0]!;
    assert("sealed" in payload, text);
    assert(new TextDecoder().decode(privacy.open(payload.sealed)).includes("536365"));
    assert(!JSON.stringify(reasons).includes("536365"), JSON.stringify(reasons));
  }
});

Deno.test("judge() holds nothing against what HTTP has protected", () => {
  const data = { ...order, order: privacy.hash("536365") };
  const headers = { "microml-secrets": "protected" };
  const required = { schema: { required: ["card"], properties: { order: { maxLength: 6 } } } };
  assertEquals(
    judge([message(data, headers)], secretOrders(required)).accepted[0]?.id,
    privacy.hash("536365"),
  );
  assertEquals(judge([message(data)], secretOrders(required)).accepted.length, 1);
  assertEquals(reasonsOf(judge([message(order)], secretOrders(required))), ["/card must be there"]);
});

Deno.test("judge() keeps a refused CloudEvent with its attributes, without the secrets", () => {
  const envelope = { specversion: "1.0", id: "e-1", source: "/tills/4", type: "order", card: "4111" };
  const { refused } = judge([message({ ...envelope, data: { order: "x", card: "4112" } })], secretOrders());
  const { card: _, ...attributes } = envelope;
  assertEquals(refused[0]?.payload, { json: { ...attributes, data: { order: privacy.hash("x") } } });
});

Deno.test("judge() waits for the key of secrets rather than lose a record", () => {
  const error = assertThrows(
    () => judge([message(order)], { ...secretOrders(), privacy: undefined }),
    AppError,
    "SECRETS_KEY is not set",
  );
  assertEquals(error.code, "unavailable");
});

Deno.test("judge() bounds the reasons of a record, and what stands in them", () => {
  const names = Array.from({ length: 200 }, (_, index) => `${index}${"n".repeat(1_000)}\u0000`);
  const record = Object.fromEntries(names.map((name) => [name, 1]));
  const { refused } = judge(
    [message(record)],
    circumstances({ schema: { additionalProperties: false } }, { maxRecordBytes: 900_000 }),
  );
  const text = JSON.stringify(refused[0]?.reasons);
  assert(text.length < 100_000, `${text.length}`);
  assert(!text.includes("\\u0000"));
  assertEquals(refused[0]?.reasons.length, 101);
});
