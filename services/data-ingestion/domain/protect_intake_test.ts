import { assert, assertEquals, assertThrows } from "@std/assert";
import type { SourceBody } from "shared/contracts/source.ts";
import { AppError } from "shared/errors.ts";
import type { ReadFileRecord } from "shared/files/file_record.ts";
import { createPrivacy } from "shared/privacy.ts";
import { protectionOf } from "./protect_intake.ts";
import { compileSource } from "./source.ts";

const privacy = createPrivacy("a key that is long enough to be one");
const circumstances = { privacy, arrivedAt: "2026-11-23T12:00:00.000Z" };
const SECRET = "4111-1111";

const sourceOf = (body: Partial<SourceBody> = {}) =>
  compileSource({
    name: "orders",
    project: "shop",
    version: 1,
    body: { kind: "events", schema: {}, secrets: { card: "hash", cvc: "drop" }, ...body },
  });

const protectionFor = (body?: Partial<SourceBody>) => protectionOf(sourceOf(body), circumstances).protect!;
const at = { line: 3, lastLine: 3, end: 90 };

Deno.test("protectionOf() leaves what has no secrets alone, and needs a key for what has", () => {
  assertEquals(protectionOf(undefined, circumstances), { headers: {} });
  assertEquals(protectionOf(sourceOf({ secrets: {} }), circumstances), { headers: {} });
  assertEquals(protectionOf(sourceOf(), circumstances).headers, { "Microml-Secrets": "protected" });
  const error = assertThrows(
    () => protectionOf(sourceOf(), { ...circumstances, privacy: undefined }),
    AppError,
    "SECRETS_KEY is not set",
  );
  assertEquals(error.code, "unavailable");
});

Deno.test("protectionOf() protects records of JSON, within their envelopes too", () => {
  const { json } = protectionFor();
  const protect = (body: unknown) =>
    json({ data: new TextEncoder().encode(JSON.stringify(body)), headers: {} });
  const card = privacy.hash(SECRET);
  const plain = { quantity: 1, card: SECRET, cvc: "123" };
  assertEquals(protect([plain, { quantity: 2 }]), [{ quantity: 1, card }, { quantity: 2 }]);
  const event = { specversion: "1.0", id: "e", source: "/till", type: "order", data: plain };
  assertEquals(protect(event), [{ ...event, data: { quantity: 1, card } }]);
  const error = assertThrows(() => protect([plain, SECRET]), AppError, "cannot be read as they are");
  assertEquals(error.reasons.map(({ path }) => path), ["/1"]);
  assert(!JSON.stringify(error.reasons).includes(SECRET));
});

Deno.test("protectionOf() refuses JSON that protecting would change", () => {
  const data = new TextEncoder().encode(`{"card": "${SECRET}", "big": 12345678901234567890}`);
  const error = assertThrows(() => protectionFor().json({ data, headers: {} }), AppError);
  assertEquals(error.reasons.map(({ path }) => path), ["/0/big"]);
});

Deno.test("protectionOf() protects records of files, and seals what cannot be read", () => {
  const { fileRecord } = protectionFor();
  const card = privacy.hash(SECRET);
  assertEquals(fileRecord({ ...at, data: { card: SECRET, quantity: "1" } }), {
    line: 3,
    data: { card, quantity: "1" },
  });
  const unreadable: ReadFileRecord[] = [
    {
      ...at,
      text: `{"card":"${SECRET}`,
      reason: `must be JSON: ... "${SECRET}"`,
      quietReason: "must be JSON",
    },
    { ...at, data: { card: SECRET, n: 1 }, json: `{"card":"${SECRET}","n":12345678901234567890}` },
    { ...at, text: SECRET },
  ];
  for (const record of unreadable) {
    const kept = fileRecord(record);
    assert("sealed" in kept && !JSON.stringify(kept).includes(SECRET), JSON.stringify(kept));
    assert(new TextDecoder().decode(privacy.open(kept.sealed)).includes(SECRET));
  }
});

Deno.test("protectionOf() reads the lines of a log to protect them", () => {
  const { fileRecord } = protectionFor({ kind: "logs", format: "logfmt" });
  assertEquals(fileRecord({ ...at, text: `card=${SECRET} cvc=123 level=info` }), {
    line: 3,
    data: { card: privacy.hash(SECRET), level: "info" },
  });
  const kept = fileRecord({ ...at, text: `card="${SECRET}` });
  assert("sealed" in kept && !kept.reason.includes(SECRET));
});
