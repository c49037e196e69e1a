import { assert, assertEquals, assertRejects } from "@std/assert";
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import { readBucket } from "shared/bus/bucket.ts";
import {
  type AliasEntry,
  aliasEntrySchema,
  aliasHistory,
  listVersions,
  putModel,
  setAlias,
} from "shared/contracts/model_training.ts";
import { MODEL_METADATA } from "shared/contracts/signature.ts";
import { BUCKET, FILES_BUCKET, STREAM } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { readModel } from "shared/onnx/reader.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedEvents } from "shared/testing/streams.ts";
import { startTestFeatureStore } from "./testing/feature_store.ts";
import { observe } from "./testing/observations.ts";
import { model, promote, put, start, startStand, train, WEEKS } from "./testing/stand.ts";

Deno.test("setAlias() moves an alias, tells of it, and keeps who did it and why", async () => {
  await using stand = await startStand();
  const { service } = stand;
  const published = () => storedEvents<AliasEntry>(service.bus, STREAM.models);
  await train(service);
  await train(service, { seed: 2, parameters: { rounds: 5 } });

  assertEquals(await promote(service, 1), { revision: 1, changed: true });
  assertEquals(await promote(service, 1), { revision: 1, changed: false });
  assertEquals(await promote(service, 2, "better"), { revision: 2, changed: true });
  assertEquals(await promote(service, 1, "the way back"), { revision: 3, changed: true });
  await assertRejects(() => promote(service, 3), AppError, "its versions are 1 to 2");
  await assertRejects(
    () => service.call(setAlias, { model: "other", alias: "champion", version: 1, reason: "none" }),
    AppError,
    "the model has no version",
  );

  const { moves } = await service.call(aliasHistory, { model });
  assertEquals(moves.map(({ revision, version, actor, reason }) => [revision, version, actor, reason]), [
    [3, 1, "ada", "the way back"],
    [2, 2, "ada", "better"],
    [1, 1, "ada", "a test wants it"],
  ]);
  await assertRejects(() => service.db`update alias_moves set reason = 'another'`, Error, "only added to");
  await assertRejects(() => service.db`delete from alias_moves`, Error, "only added to");
  await assertRejects(() => service.db`truncate alias_moves`, Error, "only added to");
  const { versions } = await service.call(listVersions, { model });
  assertEquals(versions.map(({ aliases }) => aliases), [[], ["champion"]]);

  const entry = await eventually(async () => {
    const told = await readBucket(service.bus, BUCKET.aliases, `${model}.champion`, aliasEntrySchema);
    assertEquals(told?.revision, 3);
    return told!;
  });
  const { version, sha256, signature, project } = versions[1]!;
  assertEquals(entry, { model, alias: "champion", version, revision: 3, sha256, signature, project });
  await eventually(async () => assertEquals((await published()).at(-1)?.data, entry));
});

Deno.test("setAlias() refuses to replace another version than the one it was told of", async () => {
  await using stand = await startStand();
  const { service } = stand;
  await train(service);
  await train(service, { seed: 2, parameters: { rounds: 5 } });
  const point = (version: number, replaces: number | null) =>
    service.call(setAlias, { model, alias: "champion", version, replaces, reason: "a test wants it" });

  await assertRejects(() => point(1, 2), AppError, "it points to no version, and must point to version 2");
  assertEquals(await point(1, null), { revision: 1, changed: true });
  await assertRejects(() => point(2, null), AppError, "it points to version 1, and must point to no version");
  assertEquals(await point(2, 1), { revision: 2, changed: true });
  assertEquals(await point(2, 1), { revision: 2, changed: false });
});

Deno.test("model-training puts back what NATS has lost of the models that aliases point to", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-training");
  await using features = await startTestFeatureStore(bus, observe({ weeks: WEEKS }));
  const first = await start({ bus, databaseUrl: database.url });
  await first.call(putModel, put());
  await train(first);
  await train(first, { parameters: { rounds: 5 } });
  await promote(first, 2);
  const key = `${model}.champion`;
  const told = await eventually(async () => {
    const entry = await readBucket(bus, BUCKET.aliases, key, aliasEntrySchema);
    assert(entry, "the alias is not told of yet");
    return entry;
  });
  await first.stop();
  assertEquals(features.asked.length, 2);

  const files = await new Objm(bus.js).open(FILES_BUCKET);
  await files.delete(told.sha256);
  const entries = await new Kvm(bus.js).open(BUCKET.aliases);
  await entries.purge(key);
  assertEquals(await bus.files.has(told.sha256), false);

  await using _second = await start({ bus, databaseUrl: database.url });
  await eventually(async () =>
    assertEquals(await readBucket(bus, BUCKET.aliases, key, aliasEntrySchema), told)
  );
  const file = await bus.files.get(told.sha256);
  assertEquals(readModel(file).metadata[MODEL_METADATA.signature], JSON.stringify(told.signature));
});
