import { assertEquals } from "@std/assert";
import type { Instant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { createDailyPartitions } from "shared/db/partitions.ts";
import { silentLogger } from "shared/log.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import type { IngestDeps } from "./circumstances.ts";
import { compileSource } from "./domain/source.ts";
import { ingest } from "./ingest.ts";
import { sweep } from "./retention.ts";

const KEEP_DAYS = 3_650;

/** Brings events to a source, each by a message of its own. */
function intakeOf(db: Database, body: Record<string, unknown>) {
  const source = compileSource({
    name: "orders",
    project: "shop",
    version: 1,
    body: { kind: "events", schema: {}, id: ["id"], ...body },
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
  return {
    async outcomeAt(arrivedAt: Instant, sequence: number, { redelivered = false } = {}) {
      now = Date.parse(arrivedAt);
      const { accepted, repeated, refused } = await ingest(deps, [{
        source: "orders",
        data: new TextEncoder().encode(`{"id": "a"}`),
        headers: {},
        arrivedAt,
        origin: { sequence },
        redelivered,
      }]);
      return { stored: accepted.length, duplicates: repeated.length, refused: refused.length };
    },
    sweepAt: (time: Instant) =>
      sweep({ db, sources: () => [source], keepDays: KEEP_DAYS, log: silentLogger }, { now: new Date(time) }),
  };
}

const [STORED, DUPLICATE, NOTHING] = [[1, 0], [0, 1], [0, 0]].map(([stored, duplicates]) => ({
  stored,
  duplicates,
  refused: 0,
}));

Deno.test("ingest() stores an id again after its horizon, across midnights and sweeps, and not before", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const intake = intakeOf(db, { duplicateHorizon: "P2D" });
  let sequence = 0;
  const outcomeAt = (arrivedAt: Instant) => intake.outcomeAt(arrivedAt, ++sequence);
  const sweepAt = async (time: Instant) => (await intake.sweepAt(time))["event_keys"] ?? 0;

  assertEquals(await outcomeAt("2026-03-01T23:59:59.000Z"), STORED);
  assertEquals(await outcomeAt("2026-03-02T00:00:01.000Z"), DUPLICATE);
  assertEquals(await outcomeAt("2026-03-03T23:59:58.000Z"), DUPLICATE);
  // Not swept yet, and over all the same.
  assertEquals(await sweepAt("2026-03-04T00:00:00.000Z"), 0);
  assertEquals(await outcomeAt("2026-03-04T00:00:00.000Z"), STORED);
  assertEquals(await outcomeAt("2026-03-05T23:00:00.000Z"), DUPLICATE);
  // Swept once nothing that still waits in the stream can have arrived within the horizon.
  assertEquals(await sweepAt("2026-03-12T23:00:00.000Z"), 0);
  assertEquals(await outcomeAt("2026-03-05T23:30:00.000Z"), DUPLICATE);
  assertEquals(await sweepAt("2026-03-13T00:00:01.000Z"), 1);
  assertEquals(await outcomeAt("2026-03-13T00:00:02.000Z"), STORED);
  assertEquals((await db`select from events`).length, 3);
});

Deno.test("ingest() stores an event whose key is over, also when that is being forgotten meanwhile", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const intake = intakeOf(db, { duplicateHorizon: "P2D" });
  assertEquals(await intake.outcomeAt("2026-03-01T00:00:00.000Z", 1), STORED);
  const { promise: isForgotten, resolve: forgotten } = Promise.withResolvers<void>();
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
  const forgetting = db.begin(async (tx) => {
    await tx`delete from event_keys`;
    forgotten();
    await mayEnd;
  });
  await isForgotten;
  const outcome = intake.outcomeAt("2026-03-13T00:00:00.000Z", 2);
  await eventually(async () =>
    assertEquals(
      (await db`select from pg_stat_activity where wait_event_type = 'Lock'
      and datname = current_database()`).length,
      1,
    )
  );
  end();
  await forgetting;
  assertEquals(await outcome, STORED);
  assertEquals((await db`select sequence from event_keys`).map(({ sequence }) => sequence), [2]);
});

Deno.test("ingest() counts a message once whose event was removed, though its source refuses it by now", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const arrivedAt = "2026-03-01T00:00:00.000Z";
  const short = { retention: "P1D", duplicateHorizon: "P1D" };
  const intake = intakeOf(db, short);
  assertEquals(await intake.outcomeAt(arrivedAt, 1), STORED);
  assertEquals((await intake.sweepAt("2026-03-03T00:00:00.000Z"))["events_20260301"], 1);
  // The durable was made anew.
  const strict = intakeOf(db, { ...short, schema: { required: ["quantity"] } });
  assertEquals(await strict.outcomeAt(arrivedAt, 1, { redelivered: true }), NOTHING);
  assertEquals((await db`select received, stored, rejected from ledger`).map((row) => ({ ...row })), [
    { received: 1, stored: 1, rejected: 0 },
  ]);
  // Beyond the time of the stream nothing comes again.
  await intake.sweepAt("2026-03-20T00:00:00.000Z");
  assertEquals((await db`select from removed_messages`).length, 0);
});
