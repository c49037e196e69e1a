import { assertEquals } from "@std/assert";
import { STREAM } from "shared/contracts/streams.ts";
import { crashPointSuite } from "shared/testing/crash_points.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { cleanEvents, define, ingest, sold, start } from "./testing/orders.ts";

crashPointSuite({
  name: "data-preprocessing",
  input: { stream: STREAM.ingested, durable: "data-preprocessing" },
  setUp: async () => await createTestDatabase("data-preprocessing"),
  async publish(bus, database) {
    {
      await using service = await start({ bus, databaseUrl: database.url });
      await define(service);
    }
    await ingest(bus, [sold("a"), sold("b", { quantity: 0 }), sold("c", { customer: null })]);
    await ingest(bus, [sold("a"), sold("d")]);
  },
  start: (bus, database) => start({ bus, databaseUrl: database.url }),
  async expectOnce(bus, { db }) {
    const rows = await db`select clean, filtered, quarantined, duplicates from counts`;
    assertEquals([...rows], [{ clean: 2, filtered: 1, quarantined: 1, duplicates: 1 }]);
    const [kept] = await db`
      select (select count(*) from quarantined) as quarantined, (select count(*) from cleaned_events) as seen`;
    assertEquals({ ...kept }, { quarantined: 1, seen: 4 });
    const keys = (await cleanEvents(bus)).map(({ id, definition }) => `${id} v${definition}`);
    assertEquals([...new Set(keys)].sort(), ["a v1", "d v1"]);
  },
});
