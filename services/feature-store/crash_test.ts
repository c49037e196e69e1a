import { assertEquals } from "@std/assert";
import * as contract from "shared/contracts/feature_store.ts";
import { call } from "shared/bus/call.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { crashPointSuite } from "shared/testing/crash_points.ts";
import { createTestDatabase, type TestDatabase } from "shared/testing/database.ts";
import { storedMessages } from "shared/testing/streams.ts";
import { STALE_MS } from "./domain/buckets.ts";
import { day, defineShop, line, publishLines, startFeatureStore } from "./testing/shop.ts";

crashPointSuite<TestDatabase>({
  name: "the consumer of clean events",
  input: { stream: STREAM.clean, durable: "feature-store" },

  async setUp(bus) {
    const database = await createTestDatabase("feature-store");
    await using service = await startFeatureStore({ bus, databaseUrl: database.url });
    await defineShop(service);
    return database;
  },

  async publish(bus) {
    const paid = { amount: 1, cancelled: false };
    await publishLines(bus, [
      line({ customer_id: 1, ...paid }, { id: "1", at: 0 }),
      line({ customer_id: 2, ...paid }, { id: "2", at: 0 }),
      line({ customer_id: 1.5, ...paid }, { id: "3", at: 0 }),
      line({ customer_id: null, ...paid }, { id: "4", at: 0 }),
    ]);
    await publishLines(bus, [
      line({ customer_id: 2, ...paid }, { id: "2", at: 0 }),
      line({ customer_id: 3, ...paid }, { id: "5", at: 0 }),
    ]);
  },

  start: (bus, database) => startFeatureStore({ bus, databaseUrl: database.url }),

  async expectOnce(bus, { db }) {
    const { sources } = await call(bus, contract.counts, {});
    assertEquals(sources, [
      { source: "invoice_lines", received: 6, records: 3, unused: 0, duplicates: 1, refused: 2 },
    ]);
    const rows = await db<{ id: string }[]>`select id from records where entity = 'customer' order by id`;
    assertEquals(rows.map(({ id }) => id), ["1", "2", "5"]);
    const { rows: read } = await call(bus, contract.online, {
      features: ["orders.spend", "orders.lines_30d"],
      entities: [1, 2, 3].map((customer_id) => ({ customer_id })),
      asOf: day(1),
    });
    assertEquals(read.map(({ values }) => values), [[1, 1], [1, 1], [1, 1]]);
    const [buckets] = await db<{ usable: number }[]>`
      select count(*) as usable from buckets where size_ms = 0 and max_known_at_ms < ${STALE_MS}`;
    assertEquals(buckets!.usable, 3);
    const letters = await storedMessages(bus, "DEADLETTER");
    assertEquals(new Set(letters.map((letter) => letter.json<{ id: string }[]>()[0]!.id)), new Set(["3"]));
  },
});
