import { assertEquals } from "@std/assert";
import { transaction } from "shared/db/connection.ts";
import { unavailable } from "shared/errors.ts";
import { silentLogger } from "shared/log.ts";
import { createTestDatabase, type TestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import {
  endUnlessEnded,
  finishTrainingSet,
  leaseTrainingSet,
  queueTrainingSet,
  readTrainingSet,
  releaseTrainingSet,
  renewLease,
} from "./repository/training_sets.ts";
import { day, orderFeatures, project } from "./testing/shop.ts";
import type { BuiltTrainingSet } from "./training_set_description.ts";
import type { BuildingThread } from "./training_set_thread.ts";
import { createTrainingSetWorker } from "./training_set_worker.ts";

async function queue({ db }: TestDatabase): Promise<string> {
  const id = crypto.randomUUID();
  const request = {
    project,
    entity: "customer",
    featureService: { name: "churn", version: 1 },
    spine: { source: "invoice_lines", every: "P7D", activeWithin: "P14D" },
    label: { source: "invoice_lines", aggregate: "exists", within: "P7D" } as const,
    immature: "keep" as const,
    asKnown: "then" as const,
    from: null,
    to: null,
    clock: day(14),
  };
  await transaction(db, (tx) => queueTrainingSet(tx, { id, request, actor: "test" }));
  return id;
}

/** What a thread gives, without a thread. */
const built: BuiltTrainingSet = {
  file: new Uint8Array(),
  result: {
    bytes: 0,
    rows: 0,
    immature: 0,
    dropped: 0,
    manifest: {
      featureService: { name: "churn", version: 1 },
      views: [],
      features: orderFeatures,
      leads: {},
      from: null,
      to: null,
      clock: day(14),
      asKnown: "then",
      sources: {},
    },
  },
  statistics: [],
};

/** A worker whose file store is away as often as told. */
function startWorker(
  { db }: TestDatabase,
  { failures = 0, build = () => Promise.resolve(built), leaseSeconds = 20 }: {
    failures?: number;
    build?: BuildingThread;
    leaseSeconds?: number;
  },
) {
  const tries = { count: 0 };
  const worker = createTrainingSetWorker({
    db,
    build,
    position: { read: () => Promise.resolve(7) },
    log: silentLogger,
    files: {
      put() {
        tries.count++;
        return failures-- > 0
          ? Promise.reject(unavailable("Cannot put a file: NATS is away"))
          : Promise.resolve("00ff");
      },
    },
  }, { leaseSeconds });
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

Deno.test("createTrainingSetWorker() ends a building that was cancelled, and builds the next", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  const [cancelled, next] = [await queue(database), await queue(database)];
  let ended = 0;
  const { worker } = startWorker(database, {
    leaseSeconds: 1,
    build: (_, { signal }) =>
      ended > 0 ? Promise.resolve(built) : new Promise((_, reject) =>
        signal.addEventListener("abort", () => {
          ended++;
          reject(signal.reason);
        })
      ),
  });
  await worker.start();
  await eventually(async () => assertEquals((await readTrainingSet(db, cancelled))?.status, "running"));
  await transaction(db, (tx) => endUnlessEnded(tx, cancelled));
  await eventually(async () => assertEquals((await readTrainingSet(db, next))?.status, "done"));
  await worker.stop();
  assertEquals([ended, (await readTrainingSet(db, cancelled))?.status], [1, "cancelled"]);
});
