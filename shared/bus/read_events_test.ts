import { assertEquals, assertThrows } from "@std/assert";
import { z } from "zod";
import { BadMessage } from "./batch.ts";
import type { Incoming } from "./message.ts";
import { readBatch, readEvents } from "./read_events.ts";

const event = (id: string, more: Record<string, unknown> = {}) => ({
  specversion: "1.0",
  id,
  source: "orders",
  type: "microml.ingested.v1",
  time: "2011-01-01T00:00:00.000Z",
  knownat: "2011-01-01T00:00:00.000Z",
  definition: 1,
  data: { price: 1 },
  ...more,
});

const message = (body: unknown, sequence = 7): Incoming => ({
  subject: "ingested.orders",
  name: "orders",
  stream: "INGESTED",
  sequence,
  data: new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body)),
  headers: { "Microml-Project": "shop" },
  receivedAt: "2026-01-01T00:00:00.000Z",
  redelivered: false,
});

Deno.test("readBatch() sets a malformed event aside, and keeps its neighbours", () => {
  const bad = event("", { time: "yesterday" });
  const { events, aside } = readBatch(message([event("a"), bad, event("b")]));
  assertEquals(events.map(({ id }) => id), ["a", "b"]);
  const [{ data, reasons, ...rest }] = aside as [typeof aside[number]];
  assertEquals(rest, {
    name: "orders",
    subject: "ingested.orders",
    headers: { "Microml-Project": "shop" },
    origin: "INGESTED/7/1",
  });
  assertEquals(JSON.parse(new TextDecoder().decode(data)), [bad]);
  assertEquals([...new Set(reasons.map(({ path }) => path))], ["/id", "/time"]);
});

Deno.test("readBatch() refuses a message that is no array", () => {
  assertThrows(() => readBatch(message("{")), BadMessage, "must be JSON in UTF-8");
  assertThrows(() => readBatch(message(event("a"))), BadMessage, "must be a JSON array");
});

Deno.test("readEvents() sets aside what is malformed and what has other data than the schema wants", () => {
  const schema = z.object({ price: z.number() });
  const { events, aside } = readEvents([
    message([event("a"), event("b", { data: { price: "x" } })]),
    message([event("c", { definition: -1 }), event("d")], 8),
  ], schema);
  assertEquals(events.map(({ id, data }) => [id, data.price]), [["a", 1], ["d", 1]]);
  assertEquals(aside.map(({ origin, reasons }) => [origin, reasons[0]!.path]), [
    ["INGESTED/7/1", "/data/price"],
    ["INGESTED/8/0", "/definition"],
  ]);
});
