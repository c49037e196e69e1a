import { assertEquals } from "@std/assert";
import { judgeAgain } from "./judge_again.ts";
import type { KeptRecord } from "./read_again.ts";
import { compileSource } from "./source.ts";

const kept = (number: number, more: Partial<KeptRecord>): KeptRecord => ({
  number,
  source: "orders",
  arrivedAt: "2026-11-23T11:59:59.000Z",
  origin: { sequence: number },
  position: 0,
  payload: { json: "{}" },
  altered: false,
  reasons: [{ path: "", message: "was wrong" }],
  headers: {},
  fallbackId: `EVENTS/${number}/0`,
  clock: null,
  ...more,
});

const again = (body: Record<string, unknown>, ...records: KeptRecord[]) =>
  judgeAgain(records, {
    sources: new Map([["orders", compileSource({ name: "orders", project: "shop", version: 2, body })]]),
    clocks: new Map([["shop", { kind: "wall", newest: undefined }]]),
    nowMs: Date.parse("2026-11-23T12:00:00.000Z"),
    maxRecordBytes: 10_000,
    privacy: undefined,
  });

Deno.test("judgeAgain() counts a record as received once more only where a text becomes several", () => {
  const { judgement, refused } = again(
    { kind: "logs", schema: {}, format: { pattern: "(?P<text>[a-z]+)" } },
    kept(1, { payload: { text: "one" } }),
    kept(2, { payload: { text: "two\nthree\n4\n" }, fallbackId: "m-1" }),
  );
  assertEquals(judgement.received, [{ source: "orders", day: "2026-11-23", records: 2 }]);
  assertEquals(judgement.accepted.map(({ id, position }) => [id, position]), [
    ["EVENTS/1/0", 0],
    ["m-1/0", 0],
    ["m-1/1", 1],
  ]);
  assertEquals(judgement.refused, []);
  assertEquals(refused.map(({ number, records }) => [number, records.map(({ position }) => position)]), [[2, [
    2,
  ]]]);
});

Deno.test("judgeAgain() keeps the reasons of what only the reader of a file could tell", () => {
  const file = { name: "f00d", line: 3 };
  const { refused } = again({ kind: "events", schema: {} }, kept(1, { payload: { text: "a,b" }, file }));
  assertEquals(refused[0]?.records[0]?.reasons, [{ path: "", message: "was wrong" }]);
});

Deno.test("judgeAgain() takes an array in a record's place for what it is", () => {
  const { refused } = again({ kind: "events", schema: {} }, kept(1, { payload: { json: "[{},{}]" } }));
  assertEquals(refused[0]?.records[0]?.reasons, [{
    path: "",
    message: "must be a JSON object, not an array",
  }]);
});
