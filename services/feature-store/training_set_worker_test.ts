import { assertEquals } from "@std/assert";
import type { StoredDefinition } from "shared/contracts/definition.ts";
import {
  entityBodySchema,
  featureServiceBodySchema,
  viewBodySchema,
} from "shared/contracts/feature_store.ts";
import { transaction } from "shared/db/connection.ts";
import { unavailable } from "shared/errors.ts";
import { silentLogger } from "shared/log.ts";
import { createTestDatabase, type TestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import type { Definitions } from "./catalog.ts";
import {
  finishTrainingSet,
  leaseTrainingSet,
  queueTrainingSet,
  readTrainingSet,
  releaseTrainingSet,
  renewLease,
} from "./repository/training_sets.ts";
import { day, orderFeatures, orders, project } from "./testing/shop.ts";
import { createTrainingSetWorker } from "./training_set_worker.ts";

const stored = <Body>(name: string, body: Body): StoredDefinition<Body> => ({
  project,
  kind: "",
  name,
  version: 1,
  body,
  actor: "test",
  changedAt: day(0),
});

const views = [stored("orders", viewBodySchema.parse(orders))];
const definitions: Definitions = {
  entity: () =>
    Promise.resolve(stored("customer", entityBodySchema.parse({ keys: { customer_id: "integer" } }))),
  view: (name) => Promise.resolve(views.find((view) => view.name === name)),
  views: () => views,
  featureService: (name) =>
    Promise.resolve(stored(name, featureServiceBodySchema.parse({ features: orderFeatures }))),
};

async function queue({ db }: TestDatabase): Promise<string> {
  const id = crypto.randomUUID();
  const request = {
    project,
    entity: "customer",
    featureService: { name: "churn", version: 1 },
    spine: { source: "invoice_lines", every: "P7D", activeWithin: "P14D" },
    label: { source: "invoice_lines", aggregate: "exists", within: "P7D" } as const,
    from: null,
    to: null,
    clock: day(14),
  };
  await transaction(db, (tx) => queueTrainingSet(tx, { id, request, actor: "test" }));
  return id;
}

/** A worker whose file store is away as often as told. */
function startWorker({ db }: TestDatabase, options: { failures: number }) {
  let { failures } = options;
  const tries = { count: 0 };
  const worker = createTrainingSetWorker({
    db,
    definitions,
    maxValues: 1_000_000,
    log: silentLogger,
    files: {
      put() {
        tries.count++;
        return failures-- > 0
          ? Promise.reject(unavailable("Cannot put a file: NATS is away"))
          : Promise.resolve("00ff");
      },
      get: () => Promise.reject(new Error("is not read here")),
      has: () => Promise.resolve(false),
    },
  }, { leaseSeconds: 20 });
  return { worker, tries };
}

const attemptsOf = async ({ db }: TestDatabase, id: string) =>
  (await db<{ attempts: number }[]>`select attempts from training_sets where id = ${id}`)[0]!.attempts;

Deno.test("createTrainingSetWorker() waits for a bus that is away without building anew", async () => {
  await using database = await createTestDatabase("feature-store");
  const id = await queue(database);
  const { worker, tries } = startWorker(database, { failures: 2 });
  await worker.start();
  await eventually(async () => assertEquals((await readTrainingSet(database.db, id))?.status, "done"));
  await worker.stop();
  assertEquals([tries.count, await attemptsOf(database, id)], [3, 1]);
});

Deno.test("createTrainingSetWorker() gives back what it builds when it is stopped", async () => {
  await using database = await createTestDatabase("feature-store");
  const id = await queue(database);
  const { worker, tries } = startWorker(database, { failures: Infinity });
  await worker.start();
  await eventually(() => tries.count > 0);
  await worker.stop();
  const status = await readTrainingSet(database.db, id);
  assertEquals([status?.status, status?.progress, await attemptsOf(database, id)], ["queued", 0, 0]);
});

Deno.test("leaseTrainingSet() gives each training set to one builder, the oldest first", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  const ids = [await queue(database), await queue(database)];
  const lease = () => leaseTrainingSet(db, { leaseSeconds: 60 });
  assertEquals([(await lease())?.id, (await lease())?.id, await lease()], [...ids, undefined]);
});

Deno.test("leaseTrainingSet() takes over from a builder whose lease ran out, who then can't end it", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  const id = await queue(database);
  const late = (await leaseTrainingSet(db, { leaseSeconds: 0 }))!;
  const taken = (await leaseTrainingSet(db, { leaseSeconds: 60 }))!;
  assertEquals([taken.id, taken.attempts], [id, 2]);
  assertEquals(await renewLease(db, late, { leaseSeconds: 60, progress: 0.5 }), false);
  await finishTrainingSet(db, late, { error: "late" });
  await releaseTrainingSet(db, late);
  assertEquals((await readTrainingSet(db, id))?.status, "running");
  assertEquals(await renewLease(db, taken, { leaseSeconds: 60, progress: 0.5 }), true);
  assertEquals((await readTrainingSet(db, id))?.progress, 0.5);
});
