import { assertEquals } from "@std/assert";
import { Registry } from "prom-client";
import { createConsumer } from "../bus/consumer.ts";
import { publishAll } from "../bus/publisher.ts";
import { STREAM } from "../contracts/streams.ts";
import { silentLogger } from "../log.ts";
import { crashPointSuite } from "./crash_points.ts";
import { storedMessages } from "./streams.ts";

const IDS = Array.from({ length: 20 }, (_, index) => `order-${index}`);

/** Stands for a database that outlives the service: rows under a unique key. */
interface World extends AsyncDisposable {
  rows: Map<string, number>;
  deliveries: number;
}

crashPointSuite<World>({
  name: "createConsumer()",
  input: { stream: STREAM.events, durable: "data-ingestion" },
  setUp: () =>
    Promise.resolve({ rows: new Map(), deliveries: 0, [Symbol.asyncDispose]: () => Promise.resolve() }),
  publish: (bus) =>
    publishAll(
      bus,
      IDS.map((id) => ({ subject: "events.orders", data: new TextEncoder().encode(id), messageId: id })),
    ),
  async start(bus, world) {
    const consumer = createConsumer(bus, {
      service: "data-ingestion",
      stream: STREAM.events,
      durable: "data-ingestion",
      log: silentLogger,
      metrics: new Registry(),
      handle(messages) {
        const ids = messages.map(({ data }) => new TextDecoder().decode(data));
        world.deliveries += ids.length;
        for (const id of ids) world.rows.set(id, 1);
        return Promise.resolve({
          publish: ids.map((id) => ({
            subject: "ingested.orders",
            data: new TextEncoder().encode(id),
            messageId: `orders:${id}`,
          })),
        });
      },
    });
    await consumer.start();
    return { [Symbol.asyncDispose]: () => consumer.stop() };
  },
  async expectOnce(bus, world) {
    assertEquals([...world.rows.keys()].toSorted(), IDS.toSorted());
    const published = await storedMessages(bus, "INGESTED");
    assertEquals([...new Set(published.map((message) => message.string()))].toSorted(), IDS.toSorted());
  },
});
