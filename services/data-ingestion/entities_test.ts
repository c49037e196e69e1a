import { assertEquals } from "@std/assert";
import * as contract from "shared/contracts/data_ingestion.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService } from "shared/testing/service.ts";
import { createApp } from "./app.ts";
import { configSchema } from "./config.ts";

Deno.test("data-ingestion tells what an entity was at a time, as far as it was known by another", async () => {
  await using service = await startTestService("data-ingestion", configSchema, createApp);
  await service.call(contract.putSource, {
    project: "shop",
    name: "products",
    body: {
      kind: "entities",
      schema: { required: ["sku", "at", "told"] },
      id: ["sku"],
      time: "at",
      knownAt: { field: "told" },
    },
  });
  const state = (price: number, at: string, told: string) => ({ sku: "p 1", price, at, told });
  const states = [
    state(10, "2011-01-01T00:00:00.000Z", "2011-01-01T00:00:00.000Z"),
    state(12, "2011-02-01T00:00:00.000Z", "2011-02-10T00:00:00.000Z"),
    state(11, "2011-03-01T00:00:00.000Z", "2011-03-01T00:00:00.000Z"),
  ];
  service.bus.nc.publish("events.products", JSON.stringify(states.toReversed()));
  service.bus.nc.publish("events.products", JSON.stringify(states[0]));
  await eventually(async () => {
    const { sources: [row] } = await service.call(contract.ledger, { source: "products" });
    assertEquals({ stored: row?.stored, duplicates: row?.duplicates }, { stored: 3, duplicates: 1 });
  });

  const priceAt = async (at?: string, knownAt?: string) => {
    const request = {
      source: "products",
      entity: "p 1",
      ...(at ? { at } : {}),
      ...(knownAt ? { knownAt } : {}),
    };
    return (await service.call(contract.entityState, request)).state?.data["price"] ?? null;
  };
  assertEquals(await priceAt(), 11);
  assertEquals(await priceAt("2010-12-31T23:59:59.999Z"), null);
  assertEquals(await priceAt("2011-01-01T00:00:00.000Z"), 10);
  assertEquals(await priceAt("2011-02-15T00:00:00.000Z"), 12);
  assertEquals(await priceAt("2011-02-15T00:00:00.000Z", "2011-02-09T00:00:00.000Z"), 10);
  assertEquals((await service.call(contract.entityState, { source: "products", entity: "p 2" })).state, null);

  const reply = await fetch(`${service.url}/v1/entities/products/p%201?at=2011-01-31T00:00:00.000Z`);
  assertEquals(await reply.json(), {
    state: { time: states[0]!.at, knownAt: states[0]!.told, data: states[0] },
  });
});
