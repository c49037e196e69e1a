/** What is asked for wrongly is refused, with the place of each mistake. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import * as contract from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import { day, defineShop, project, setClock, startFeatureStore } from "./testing/shop.ts";
import { build, type TrainingSetAsked } from "./testing/training_set.ts";

const asked = {
  project,
  entity: "customer",
  featureService: { name: "churn" },
  spine: { source: "invoice_lines", every: "P7D", activeWithin: "P14D" },
} as const;

Deno.test("a training set is refused with the place of every mistake in its spine, label and times", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const mistakesIn = async (more: Partial<TrainingSetAsked>) => {
    const error = await assertRejects(
      () => service.call(contract.buildTrainingSet, { ...asked, ...more }),
      AppError,
    );
    assertEquals(error.code, "invalid");
    return error.reasons.map(({ path }) => path);
  };
  const label = { source: "visits", aggregate: "exists", where: "e.(", within: "P0D" } as const;
  assertEquals(await mistakesIn({ spine: { ...asked.spine, where: "e.(", every: "P0D" }, label }), [
    "/label/source",
    "/spine/every",
    "/label/within",
    "/spine/where",
    "/label/where",
  ]);
  assertEquals(await mistakesIn({ from: day(10), to: day(5) }), ["/from"]);
});

Deno.test("a read is refused with every entity whose key can't be read", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const entities = [{ customer_id: 1 }, { customer_id: "1.0" }, { customer: 1 }];
  const error = await assertRejects(
    () => service.call(contract.online, { features: { service: "churn" }, entities }),
    AppError,
  );
  assertEquals(error.reasons.map(({ path }) => path), ["/entities/1", "/entities/2"]);
  assertStringIncludes(error.reasons[1]!.message, "customer_id (integer)");
});

Deno.test("a training set goes by the clock of its features, as an online read does", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await setClock(service.bus, day(14));
  await eventually(async () => {
    const { at } = await service.call(contract.online, {
      features: { service: "churn" },
      entities: [{ customer_id: 1 }],
    });
    assertEquals(at, day(14));
  });
  const { result } = await build(service, { ...asked, project: "borrower" });
  assertEquals(result?.manifest.clock, day(14));
});

Deno.test("a view is removed only after the feature services over it", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const remove = () => service.call(contract.removeView, { project, name: "orders" });
  const error = await assertRejects(remove, AppError);
  assertEquals([error.code, error.message], [
    "conflict",
    'Cannot remove the view "orders": the feature service "churn" must be removed first',
  ]);
  await service.call(contract.removeFeatureService, { project, name: "churn" });
  assertEquals(await remove(), { removed: true });
});

Deno.test("an entity is removed only after the views and labels of it", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await service.call(contract.putLabel, {
    project,
    name: "churn",
    body: {
      entity: "customer",
      spine: asked.spine,
      label: { source: "invoice_lines", aggregate: "exists", within: "P7D" },
    },
  });
  const remove = () => service.call(contract.removeEntity, { project, name: "customer" });
  const error = await assertRejects(remove, AppError);
  assertEquals([error.code, error.message], [
    "conflict",
    'Cannot remove the entity "customer": the view "orders", the label "churn" must be removed first',
  ]);
  await service.call(contract.online, { features: ["orders.spend"], entities: [{ customer_id: 1 }] });
  await service.call(contract.removeLabel, { project, name: "churn" });
  await service.call(contract.removeFeatureService, { project, name: "churn" });
  await service.call(contract.removeView, { project, name: "orders" });
  assertEquals(await remove(), { removed: true });
});
