import { assert, assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { getRun, putModel, startRun } from "shared/contracts/model_training.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestFeatureStore } from "./testing/feature_store.ts";
import { observe } from "./testing/observations.ts";
import { ended, model, put, start, startStand, WEEKS } from "./testing/stand.ts";

Deno.test("model-training works on as many runs at once as it may", async () => {
  await using stand = await startStand({ env: { RUNS_AT_ONCE: "2" } });
  const { service, features } = stand;
  features.holds = true;
  const ids: string[] = [];
  for (let run = 0; run < 3; run++) ids.push((await service.call(startRun, { model })).id);
  const statuses = async () =>
    await Promise.all(ids.map(async (id) => (await service.call(getRun, { id })).status));
  await eventually(async () => assertEquals(await statuses(), ["running", "running", "queued"]));
  await eventually(async () => {
    const { stage, progress } = await service.call(getRun, { id: ids[0]! });
    assertEquals([stage, progress], ["features", 0.2]);
  });
  features.holds = false;
  for (const id of ids) assertEquals((await ended(service, id)).status, "done");
});

Deno.test("model-training gives a run back when it stops, and takes it up when it starts", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-training");
  await using features = await startTestFeatureStore(bus, observe({ weeks: WEEKS }));
  features.holds = true;
  const first = await start({ bus, databaseUrl: database.url });
  await first.call(putModel, put());
  const { id } = await first.call(startRun, { model });
  await eventually(() => assertEquals(features.asked.length, 1));
  await first.stop();
  const [row] = await database.db`select status, stage, attempts from runs`;
  assertEquals({ ...row }, { status: "queued", stage: "queued", attempts: 0 });

  features.holds = false;
  await using second = await start({ bus, databaseUrl: database.url });
  assertEquals((await ended(second, id)).version, 1);
  assertEquals(features.asked.length, 1, "the training set is asked for under the same key");
});

Deno.test("model-training takes up a run whose process was killed", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-training");
  await using features = await startTestFeatureStore(bus, observe({ weeks: WEEKS }));
  features.holds = true;
  await using other = await start({ bus, databaseUrl: database.url, env: { RUN_LEASE_SECONDS: "1" } });
  await other.call(putModel, put());
  await other.stop();

  const victim = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "-A", new URL("./main.ts", import.meta.url).pathname],
    env: {
      NATS_URL: bus.url,
      DATABASE_URL: database.url,
      HTTP_PORT: "0",
      LOG_LEVEL: "silent",
      RUN_LEASE_SECONDS: "1",
      // With a free slot it might take over its own run when the machine is slow.
      RUNS_AT_ONCE: "1",
    },
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await eventually(async () => {
      await other.call(startRun, { model }, { idempotencyKey: "the run" });
    }, { timeoutMs: 60_000 });
    await eventually(() => assertEquals(features.asked.length, 1));
  } finally {
    victim.kill("SIGKILL");
    await victim.status;
  }
  const [left] = await database.db<{ id: string; status: string; attempts: number }[]>`
    select id, status, attempts from runs`;
  assertEquals([left!.status, left!.attempts], ["running", 1]);

  features.holds = false;
  await using heir = await start({ bus, databaseUrl: database.url });
  const run = await ended(heir, left!.id);
  assertEquals([run.status, run.version], ["done", 1]);
  assertEquals(features.asked.length, 1);
});

Deno.test("model-training keeps a run as long as it works on it, and its copies leave it alone", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-training");
  await using features = await startTestFeatureStore(bus, observe({ weeks: WEEKS }));
  features.holds = true;
  const copy = { bus, databaseUrl: database.url, env: { RUN_LEASE_SECONDS: "1" } };
  await using one = await start(copy);
  await using _other = await start(copy);
  await one.call(putModel, put());
  const { id } = await one.call(startRun, { model });
  const lease = async () => {
    const [row] = await database.db<{ lease: string; until: string }[]>`
      select lease, leased_until as until from runs where lease is not null`;
    assert(row, "nobody works on the run yet");
    return row;
  };
  const first = await eventually(lease);
  const renewed = await eventually(async () => {
    const now = await lease();
    assertGreater(Date.parse(now.until), Date.parse(first.until) + 2_000);
    return now;
  });
  assertEquals(renewed.lease, first.lease);
  features.holds = false;
  assertEquals((await ended(one, id)).version, 1);
});

Deno.test("model-training gives up a run that ended its process again and again", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-training");
  const first = await start({ bus, databaseUrl: database.url });
  await first.call(putModel, put());
  const { id } = await first.call(startRun, { model });
  await first.stop();
  await database.db`
    update runs set status = 'running', attempts = 3, lease = gen_random_uuid(),
      leased_until = now() - interval '1 second'`;

  await using second = await start({ bus, databaseUrl: database.url });
  const { status, error } = await ended(second, id);
  assertEquals(status, "failed");
  assertStringIncludes(error!, "the service ended 3 times while it worked on the run");
});

Deno.test("model-training ends a run that waits too long for the feature store, and says for what", async () => {
  await using service = await start({ env: { RUN_LIMIT_SECONDS: "1" } });
  await service.call(putModel, put());
  const { id } = await service.call(startRun, { model });
  const { status, error } = await ended(service, id);
  assertEquals(status, "failed");
  assertStringIncludes(error!, "the attempt took longer than 1 s, it was at the stage features, waiting: ");
  assertStringIncludes(error!, "no service answers it");
});
