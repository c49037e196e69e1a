import { assertEquals } from "@std/assert";
import type { StoredDefinition } from "shared/contracts/definition.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { transaction } from "shared/db/connection.ts";
import { silentLogger } from "shared/log.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { createLabelPublisher } from "./label_publisher.ts";
import {
  countsOf,
  day,
  defineShop,
  line,
  project,
  publishLines,
  setClock,
  startFeatureStore,
} from "./testing/shop.ts";

const body: contract.ModelLabelBody = {
  entity: "customer",
  spine: { source: "invoice_lines", every: "P7D", activeWithin: "P1D" },
  label: { source: "invoice_lines", aggregate: "sum", field: "amount", within: "P7D" },
};

const stored = <Body>(kind: string, name: string, body: Body): StoredDefinition<Body> => ({
  project,
  kind,
  name,
  version: 1,
  body,
  actor: "anonymous",
  changedAt: day(0),
});

Deno.test("createLabelPublisher() pokes the outbox for a correction that is all there is to do", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("feature-store");
  await using service = await startFeatureStore({ bus, databaseUrl: database.url });
  await defineShop(service);
  const bought = (id: string, at: number, knownAt = at) =>
    line({ customer_id: 1, amount: 1, cancelled: false }, { id, at, knownAt });
  await publishLines(bus, [bought("1", 0)]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 1));
  await setClock(bus, day(10));
  await service.call(contract.putLabel, { project, name: "churn", body });
  const progress = async () => {
    const { published, corrections } = await service.call(contract.labelProgress, { model: "churn" });
    return { published, corrections };
  };
  await eventually(async () => assertEquals(await progress(), { published: 1, corrections: 0 }));
  // The record comes late while the service can't look after the labels, so that it is left to the publisher below.
  await transaction(database.db, async (tx) => {
    await tx`select from label_progress for update`;
    await publishLines(bus, [bought("late", 3, 9)]);
    await eventually(async () => assertEquals((await countsOf(service)).records, 2));
    await service.stop();
  });

  let pokes = 0;
  const customer: contract.EntityBody = {
    keys: { customer_id: "integer" },
    owner: "",
    description: "",
    tags: [],
  };
  const publisher = createLabelPublisher({
    db: database.db,
    outbox: { poke: () => pokes++ },
    definitions: { entity: (name) => Promise.resolve(stored("entity", name, customer)) },
    labels: () => [stored("label", "churn", body)],
    now: () => Date.parse(day(10)),
    log: silentLogger,
  });
  await publisher.start();
  try {
    await eventually(() => assertEquals(pokes, 1));
  } finally {
    await publisher.stop();
  }
  assertEquals([...await database.db`select published, corrections from label_progress`], [
    { published: 2, corrections: 1 },
  ]);
});
