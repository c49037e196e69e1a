import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { servedModels } from "shared/contracts/model_serving.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { AppError } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import { linearModelFile, signature, sumModelFile } from "./testing/model_file.ts";
import { deploy, pointAlias, startServing } from "./testing/serving.ts";

const CANARY = {
  arms: { control: { alias: "champion", weight: 0.9 }, canary: { alias: "challenger", weight: 0.1 } },
  sticky: { by: "key" },
};

async function reasonsOf(service: TestService, body: Record<string, unknown>): Promise<string[]> {
  const error = await assertRejects(() => deploy(service, body), AppError);
  return error.reasons.map(({ path, message }) => `${path} ${message}`);
}

Deno.test("a deployment that can't be honoured is refused when it is put, with every reason", async () => {
  await using service = await startServing();
  const reasons = (body: Record<string, unknown>) => reasonsOf(service, body);
  assertEquals(await reasons(CANARY), ['/arms/canary/alias "challenger": it points to no version']);
  await pointAlias(service.bus, "challenger", 2, new TextEncoder().encode("no model"));
  const [notAdmitted] = await reasons({ shadows: { candidate: { alias: "challenger" } } });
  assertStringIncludes(notAdmitted!, "/shadows/candidate/alias");
  const [sum] = await reasons({
    arms: { a: { alias: "champion", weight: 0.5 }, b: { alias: "challenger", weight: 0.4 } },
  });
  assertStringIncludes(sum!, "sum to 0.9");

  await pointAlias(service.bus, "challenger", 3, sumModelFile([3, 0]));
  const [parts] = await reasons({ ...CANARY, sticky: { by: "entity", parts: ["shop"] } });
  assertStringIncludes(parts!, '"shop" is no key part of the entity "customer"');
  assertEquals(await reasons({ ...CANARY, features: { defaults: { "orders.spned": 1 } } }), [
    "/features/defaults/orders.spned is not a feature of the model",
  ]);
  const product = { ...signature, entity: "product" };
  await pointAlias(service.bus, "challenger", 4, linearModelFile([3, 0], product), { signature: product });
  assertEquals(await reasons(CANARY), [
    '/arms/canary/alias "challenger": answers otherwise than the champion',
  ]);
  // What was in force stays.
  const { models } = await service.call(servedModels, {});
  assertEquals(models.map(({ alias, arm }) => [alias, arm?.weight]), [["champion", 1]]);
});

Deno.test("a champion alone, once it has a version, is refused defaults and key parts that are none, and durations out of bounds", async () => {
  await using service = await startServing();
  const alone = { features: { defaults: { "orders.spned": 1, "orders.spend": "much" } } };
  assertEquals(await reasonsOf(service, { ...alone, sticky: { by: "entity", parts: ["shop"] } }), [
    "/features/defaults/orders.spned is not a feature of the model",
    '/features/defaults/orders.spend must be a number within float32, not "much"',
    '/sticky/parts "shop" is no key part of the entity "customer": there is no such entity',
  ]);
  assertEquals(
    await reasonsOf(service, {
      features: { deadline: "P30D", given: "override" },
      arms: {
        control: { alias: "champion", weight: 0.9 },
        canary: { alias: "challenger", weight: 0.1, breaker: { window: "PT0S" } },
      },
    }),
    [
      "/body/arms/canary/breaker/window must be PT0.1S to P1D",
      "/body/features/deadline must be PT0.001S to PT1H",
    ],
  );
});

Deno.test("defaults that must stand for features are refused where one is lacking that an arm can't do without", async () => {
  const its = (first: Signature["inputs"][number]): Signature => ({
    ...signature,
    inputs: [first, { ...signature.inputs[1]!, nulls: "as_trained" }],
  });
  await using service = await startServing();
  const spend = { "orders.spend": 4 };
  const lacking = (name: string) =>
    `/features/defaults/${name} is missing: defaults stand for features that do not come, and the model refuses to go without`;
  assertEquals(await reasonsOf(service, { features: { fallback: "defaults" } }), [
    lacking("orders.count"),
    lacking("orders.spend"),
  ]);
  assertEquals(await reasonsOf(service, { features: { fallback: "last_known", defaults: spend } }), [
    lacking("orders.count"),
  ]);
  // Nothing stands in for what is not known, and for what is refused.
  await deploy(service, { features: { fallback: "last_known" } });
  await deploy(service, { features: { defaults: spend } });

  const asTrained = its({ ...signature.inputs[0]!, nulls: "as_trained" });
  await pointAlias(service.bus, "champion", 2, linearModelFile([1, 0], asTrained), { signature: asTrained });
  await eventually(() => deploy(service, { features: { fallback: "defaults" } }));
  // The challenger takes a feature that the champion does not, and that may not be missing.
  const other = its({ name: "orders.age", type: "number", nulls: "refuse" });
  await pointAlias(service.bus, "challenger", 3, linearModelFile([3, 0], other), { signature: other });
  assertEquals(await reasonsOf(service, { ...CANARY, features: { fallback: "defaults" } }), [
    lacking("orders.age"),
  ]);
  await deploy(service, { ...CANARY, features: { fallback: "defaults", defaults: { "orders.age": 1 } } });
});
