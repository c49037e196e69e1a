import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { readBucket } from "shared/bus/bucket.ts";
import {
  aliasEntrySchema,
  aliasHistory,
  annotateVersion,
  getVersion,
  listModels,
  listVersions,
  type ModelRetired,
  type ModelUnaliased,
  removeAlias,
  retireVersion,
  rollbackAlias,
  setAlias,
} from "shared/contracts/model_training.ts";
import { BUCKET, STREAM } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import { storedEvents } from "shared/testing/streams.ts";
import { rollbackTarget } from "./domain/registry.ts";
import { model, promote, startStand, train } from "./testing/stand.ts";

const alias = "champion";
const rollback = (service: TestService, more: { replaces?: number } = {}) =>
  service.call(rollbackAlias, { model, alias, reason: "it was worse", evidence: "a graph", ...more }, {
    actor: "ada",
  });
const told = (service: TestService) =>
  readBucket(service.bus, BUCKET.aliases, `${model}.${alias}`, aliasEntrySchema);

Deno.test("rollbackTarget() goes one step back with each rollback, and never forth", () => {
  const set = (version: number) => ({ kind: "set" as const, version });
  const back = (version: number | null) => ({ kind: "rollback" as const, version });
  assertEquals(rollbackTarget([]), undefined);
  assertEquals(rollbackTarget([set(1)]), null);
  assertEquals(rollbackTarget([set(1), set(2), set(3)]), 2);
  assertEquals(rollbackTarget([set(1), set(2), set(3), back(2)]), 1);
  assertEquals(rollbackTarget([set(1), set(2), back(1), set(4)]), 1);
  assertEquals(rollbackTarget([set(1), back(null)]), undefined);
  assertEquals(rollbackTarget([set(1), { kind: "remove", version: null }]), 1);
});

Deno.test("rollbackAlias() points an alias back in one call, and its history keeps both ways", async () => {
  await using stand = await startStand();
  const { service } = stand;
  for (let version = 1; version <= 3; version++) {
    await train(service, { algorithm: "prior", parameters: {} });
    await promote(service, version);
  }
  assertEquals(await rollback(service, { replaces: 3 }), { version: 2, revision: 4 });
  await eventually(async () => assertEquals((await told(service))?.version, 2));
  await assertRejects(() => rollback(service, { replaces: 3 }), AppError, "it points to version 2");
  assertEquals(await rollback(service), { version: 1, revision: 5 });
  assertEquals(await rollback(service), { version: null, revision: 6 });
  await eventually(async () => assertEquals(await told(service), undefined));
  await assertRejects(() => rollback(service), AppError, "there is nothing to go back to");

  const first = await service.call(aliasHistory, { model, limit: 4 });
  assertEquals(first.moves.map(({ kind, version }) => [kind, version]), [
    ["rollback", null],
    ["rollback", 1],
    ["rollback", 2],
    ["set", 3],
  ]);
  assertEquals([first.moves[0]!.actor, first.moves[0]!.reason, first.moves[0]!.evidence], [
    "ada",
    "it was worse",
    "a graph",
  ]);
  const rest = await service.call(aliasHistory, { model, limit: 4, after: first.next! });
  assertEquals([rest.moves.map(({ version }) => version), rest.next, rest.aliases], [[2, 1], null, {}]);
});

Deno.test("removeAlias() and retireVersion() are told of, and retiring refuses what is served", async () => {
  await using stand = await startStand();
  const { service } = stand;
  await train(service, { algorithm: "prior", parameters: {} });
  await promote(service, 1);
  const retire = () =>
    service.call(retireVersion, { model, version: 1, reason: "too old" }, { actor: "ada" });
  const refused = await assertRejects(retire, AppError, "it is still served, the alias champion") as AppError;
  assertEquals(refused.code, "conflict");

  const remove = { model, alias, reason: "nobody asks it" };
  assertEquals(await service.call(removeAlias, remove), { revision: 2, changed: true });
  assertEquals(await service.call(removeAlias, remove), { revision: 2, changed: false });
  await eventually(async () => assertEquals(await told(service), undefined));
  assertEquals(await retire(), { changed: true });
  assertEquals(await retire(), { changed: false });
  await assertRejects(() => promote(service, 1), AppError, "version 1 was retired");
  await assertRejects(() => rollback(service), AppError, "version 1 was retired");
  const { retiredBy, retiredReason } = await service.call(getVersion, { model, version: 1 });
  assertEquals([retiredBy, retiredReason], ["ada", "too old"]);

  await eventually(async () => {
    const events = await storedEvents<ModelUnaliased | ModelRetired>(service.bus, STREAM.models);
    assertEquals(events.slice(-2).map(({ data }) => data), [
      { model, project: "shop", alias, revision: 2 },
      { model, project: "shop", version: 1, reason: "too old" },
    ]);
  });
  await train(service, { algorithm: "prior", parameters: {} });
  assertEquals(await promote(service, 2), { revision: 3, changed: true });
});

Deno.test("annotateVersion() changes tags and notes, by which versions are found", async () => {
  await using stand = await startStand();
  const { service } = stand;
  await train(service, { algorithm: "prior", parameters: {}, tags: { team: "growth" } });
  await train(service, { algorithm: "prior", parameters: {} });
  const annotate = {
    model,
    version: 2,
    tags: { team: "growth", stage: "trial" },
    notes: "**look** at spend",
  };
  assertEquals(await service.call(annotateVersion, annotate), {
    tags: { team: "growth", stage: "trial" },
    notes: "**look** at spend",
  });
  const found = async (tag: string) =>
    (await service.call(listVersions, { model, tag })).versions.map(({ version }) => version);
  assertEquals([await found("team"), await found("team=growth"), await found("stage=trial")], [
    [2, 1],
    [2, 1],
    [2],
  ]);
  await service.call(annotateVersion, { model, version: 2, tags: { team: null } });
  assertEquals(await found("team"), [1]);
  await assertRejects(
    () => service.call(annotateVersion, { model, version: 9, notes: "none" }),
    AppError,
    "there is none",
  );
  await service.call(setAlias, { model, alias: "shadow", version: 2, reason: "to be seen" });
  assertEquals((await service.call(listModels, {})).models, [{ model, newest: 2, aliases: { shadow: 2 } }]);
  const response = await fetch(`${service.url}/v1/models/${model}/versions/2/model.onnx`);
  assertStringIncludes(response.headers.get("content-disposition")!, `${model}-2.onnx`);
  await response.body?.cancel();
});
