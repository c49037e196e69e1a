import { assertEquals } from "@std/assert";
import type { AliasEntry } from "shared/contracts/model_training.ts";
import { AppError } from "shared/errors.ts";
import { silentLogger } from "shared/log.ts";
import { eventually } from "shared/testing/poll.ts";
import { createBatcher } from "./batching/batcher.ts";
import { createLiveModels } from "./live_models.ts";
import type { ServedVersion } from "./runtime/admission.ts";
import type { LoadedModel } from "./runtime/runtime.ts";
import { signature } from "./testing/model_file.ts";

const entry = (version: number, revision = version): AliasEntry => ({
  model: "reorder",
  alias: "champion",
  version,
  sha256: `file ${version}`,
  signature,
  revision,
  project: "shop",
});

/** One deployed model whose versions load when the test says so, or fail; `loaded` are those in memory. */
function createStand({ onUnload = () => Promise.resolve() }: { onUnload?: () => Promise<void> } = {}) {
  const loaded: number[] = [];
  const loading = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  const models = createLiveModels({
    log: silentLogger,
    aliases: () => new Map([["reorder", ["champion"]]]),
    async admit(wanted): Promise<ServedVersion> {
      const { promise, ...settle } = Promise.withResolvers<void>();
      loading.set(wanted.version, settle);
      await promise.finally(() => loading.delete(wanted.version));
      loaded.push(wanted.version);
      const unload = () => {
        loaded.splice(loaded.indexOf(wanted.version), 1);
        return onUnload();
      };
      const model: LoadedModel = {
        runtime: "none",
        outputWidth: 1,
        predict: () => Promise.resolve(new Float32Array()),
        predictNow: () => new Float32Array(),
        unload,
      };
      const batcher = createBatcher(model, { model: wanted.model, maxRows: 1, maxWaitingRows: 1 });
      return { entry: wanted, signature, model, batcher };
    },
  });
  return {
    models,
    loaded,
    pointTo: (to: AliasEntry) => models.aliasChanged("reorder.champion", to),
    served: () => models.list()[0]?.version,
    asked: (version: number) => eventually(() => loading.has(version)),
    /** Lets a version come into memory, once it is asked for. */
    async load(version: number): Promise<void> {
      await eventually(() => loading.has(version));
      loading.get(version)!.resolve();
    },
    async fail(version: number): Promise<void> {
      await eventually(() => loading.has(version));
      loading.get(version)!.reject(new Error(`version ${version} is broken`));
    },
  };
}

Deno.test("aliasChanged() never serves a version that the alias left while it was loading", async () => {
  const { models, loaded, pointTo, served, asked, load } = createStand();
  pointTo(entry(1));
  await load(1);
  await eventually(() => assertEquals(served(), 1));
  pointTo(entry(2));
  await eventually(() => assertEquals(models.list()[0]?.state, "loading"));
  pointTo(entry(3));
  await load(2);
  await asked(3);
  assertEquals(served(), 1);
  await load(3);
  await eventually(() => assertEquals(served(), 3));
  assertEquals(loaded, [3]);
  await models.stop();
  assertEquals(loaded, []);
});

Deno.test("an alias that moves back from a version that failed to the one in memory says nothing of it any more", async () => {
  const { models, pointTo, load, fail } = createStand();
  const state = () => {
    const [{ version, state, error }] = models.list() as [ReturnType<typeof models.list>[number]];
    return { version, state, error };
  };
  pointTo(entry(1));
  await load(1);
  await eventually(() => assertEquals(state().state, "ready"));
  pointTo(entry(2));
  await fail(2);
  const error = "version 2 is broken";
  await eventually(() => assertEquals(state(), { version: 1, state: "failed", error }));
  pointTo(entry(1, 3));
  await eventually(() => assertEquals(state(), { version: 1, state: "ready", error: null }));
  await models.stop();
});

Deno.test("who used a replaced version last neither waits until it is freed nor is told if that fails", async () => {
  const freeing = Promise.withResolvers<void>();
  const { models, pointTo, served, load } = createStand({ onUnload: () => freeing.promise });
  pointTo(entry(1));
  await load(1);
  await eventually(() => assertEquals(served(), 1));
  const lease = models.lease("reorder", "champion");
  pointTo(entry(2));
  await load(2);
  await eventually(() => assertEquals(served(), 2));
  assertEquals(lease.release(), undefined);
  freeing.reject(new Error("the thread is gone"));
  await models.stop();
  assertEquals([served(), models.list()[0]?.error], [2, null]);
});

Deno.test("a version that fails for a time is tried again after pauses that grow, and anew once the alias moves", async () => {
  const pauses: number[] = [];
  let again = () => {};
  const models = createLiveModels({
    log: silentLogger,
    aliases: () => new Map([["reorder", ["champion"]]]),
    admit: () => Promise.reject(new AppError("timeout", "too slow")),
    schedule(then, ms) {
      pauses.push(ms);
      again = then;
      return setTimeout(() => {}, 0);
    },
  });
  await models.start();
  models.aliasChanged("reorder.champion", entry(1));
  for (let tries = 1; tries <= 8; tries++) {
    await eventually(() => assertEquals(pauses.length, tries));
    again();
  }
  models.aliasChanged("reorder.champion", entry(2));
  await eventually(() => assertEquals(pauses.at(-1), 1_000));
  assertEquals(pauses.slice(0, 8), [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  await models.stop();
});

Deno.test("aliasChanged() is heard at every moment of the change before", async () => {
  for (let ticks = 0; ticks < 30; ticks++) {
    const { models, pointTo, served, load } = createStand();
    pointTo(entry(1));
    await load(1);
    for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
    pointTo(entry(2));
    await load(2);
    await eventually(() => assertEquals(served(), 2));
    await models.stop();
  }
});
