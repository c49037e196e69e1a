import { assertEquals } from "@std/assert";
import type { Instant } from "shared/contracts/time.ts";
import { createDailyPartitions } from "shared/db/partitions.ts";
import { silentLogger } from "shared/log.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import type { IngestDeps } from "./circumstances.ts";
import { compileSource } from "./domain/source.ts";
import { ingest } from "./ingest.ts";
import { sweep } from "./retention.ts";

const KEEP_DAYS = 3_650;

Deno.test("ingest() stores an id again after its horizon, across midnights and sweeps, and not before", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const source = compileSource({
    name: "orders",
    project: "shop",
    version: 1,
    body: { kind: "events", schema: {}, id: ["id"], duplicateHorizon: "P2D" },
  });
  let now = 0;
  const deps: IngestDeps = {
    db,
    partitions: createDailyPartitions(db, { table: "events", keepDays: KEEP_DAYS, log: silentLogger }),
    sources: () => Promise.resolve(new Map([["orders", source]])),
    clockKind: () => Promise.resolve("wall"),
    onClocks: () => undefined,
    maxRecordBytes: 10_000,
    privacy: undefined,
    keepDays: KEEP_DAYS,
    now: () => now,
  };
  let sequence = 0;
  const outcomeAt = async (arrivedAt: Instant) => {
    now = Date.parse(arrivedAt);
    const { accepted, repeated } = await ingest(deps, [{
      source: "orders",
      data: new TextEncoder().encode(`{"id": "a"}`),
      headers: {},
      arrivedAt,
      origin: { sequence: ++sequence },
    }]);
    return { stored: accepted.length, duplicates: repeated.length };
  };
  const sweepAt = async (time: Instant) =>
    (await sweep({ db, sources: () => [source], keepDays: KEEP_DAYS, log: silentLogger }, {
      now: new Date(time),
    }))["event_keys"] ?? 0;
  const [stored, duplicate] = [{ stored: 1, duplicates: 0 }, { stored: 0, duplicates: 1 }];

  assertEquals(await outcomeAt("2026-03-01T23:59:59.000Z"), stored);
  assertEquals(await outcomeAt("2026-03-02T00:00:01.000Z"), duplicate);
  assertEquals(await outcomeAt("2026-03-03T23:59:58.000Z"), duplicate);
  // Not swept yet, and over all the same.
  assertEquals(await sweepAt("2026-03-04T00:00:00.000Z"), 0);
  assertEquals(await outcomeAt("2026-03-04T00:00:00.000Z"), stored);
  assertEquals(await outcomeAt("2026-03-05T23:00:00.000Z"), duplicate);
  // Swept once nothing that still waits in the stream can have arrived within the horizon.
  assertEquals(await sweepAt("2026-03-12T23:00:00.000Z"), 0);
  assertEquals(await outcomeAt("2026-03-05T23:30:00.000Z"), duplicate);
  assertEquals(await sweepAt("2026-03-13T00:00:01.000Z"), 1);
  assertEquals(await outcomeAt("2026-03-13T00:00:02.000Z"), stored);
  assertEquals((await db`select from events`).length, 3);
});
