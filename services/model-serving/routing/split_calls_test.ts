/** Calls of which several arms answer parts, each by its own version. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { ReplyOf } from "shared/contracts/endpoint.ts";
import { predict } from "shared/contracts/model_serving.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { AppError, invalid, unavailable } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedPredictions } from "shared/testing/predictions.ts";
import type { TestService } from "shared/testing/service.ts";
import { linearModelFile, signature, sumModelFile } from "../testing/model_file.ts";
import { deploy, MODEL, pointAlias, row, startFeatureStore, startServing } from "../testing/serving.ts";

const entities = Array.from({ length: 40 }, (_, index) => ({ customer_id: String(index) }));

const SPLIT = {
  arms: {
    control: { alias: "champion", weight: 0.5 },
    canary: { alias: "challenger", weight: 0.5 },
  },
  sticky: { by: "entity" },
};

/** The canary's: trained on other features than the champion. */
const otherFeatures: Signature = { ...signature, featureService: { name: "reorder", version: 4 } };

type Answer = ReplyOf<typeof predict>;

const armOf = ({ arm, predictions }: Answer, row: number) => predictions[row]!.arm ?? arm;

/** Asks until both arms answer: the deployment is in force then. */
async function bothAnswer(service: TestService): Promise<Answer> {
  return await eventually(async () => {
    const answer = await service.call(predict, { model: MODEL, entities });
    assertEquals(new Set(entities.map((_, row) => armOf(answer, row))), new Set(["control", "canary"]));
    return answer;
  });
}

Deno.test("entities of an arm whose features do not come are answered by the champion, which takes others", async () => {
  await using service = await startServing();
  let isAway = false;
  await using _store = await startFeatureStore(service.bus, () => [1, 0], ({ features }) => {
    if (isAway && "version" in features && features.version === 4) throw unavailable("The features are away");
  });
  await pointAlias(service.bus, "challenger", 2, linearModelFile([2, 0], otherFeatures), {
    signature: otherFeatures,
  });
  await deploy(service, SPLIT);
  const before = await bothAnswer(service);

  isAway = true;
  const answer = await service.call(predict, { model: MODEL, entities });
  assertEquals(answer.predictions.map(({ entity }) => entity), entities);
  assert(entities.every((_, row) => armOf(answer, row) === "control"));
  assert(answer.predictions.every(({ output }) => output === 1));

  const moved = entities.filter((_, row) => armOf(before, row) === "canary").length;
  await eventually(async () => {
    const events = await storedPredictions(service.bus);
    const ids = new Set(answer.predictions.map(({ id }) => id));
    const records = events.filter(({ id }) => ids.has(id)).map(({ data }) => data);
    assertEquals(records.length, entities.length);
    const rerouted = records.filter(({ assigned }) => assigned === "canary");
    assertEquals([rerouted.length, rerouted[0]!.rerouted, rerouted[0]!.version], [moved, "error", 1]);
    const failed = events.filter(({ data }) => data.outcome === "error");
    assertEquals([failed.length, failed[0]!.data.arm, failed[0]!.data.code], [
      moved,
      "canary",
      "unavailable",
    ]);
  });
});

Deno.test("rows that only the champion takes are answered by it, whichever arm they are assigned to", async () => {
  await using service = await startServing();
  const its: Signature = {
    ...signature,
    inputs: [signature.inputs[0]!, { name: "orders.returns", type: "number", nulls: "refuse" }],
  };
  await pointAlias(service.bus, "challenger", 2, linearModelFile([2, 0], its), { signature: its });
  await deploy(service, { ...SPLIT, sticky: { by: "key" } });
  const arms = new Set<string | null>();
  await eventually(async () => {
    for (let key = 0; key < 20; key++) {
      const answer = await service.call(predict, { model: MODEL, rows: [row(3, 0)], key: String(key) });
      assertEquals([answer.arm, answer.predictions[0]!.output], ["control", 3]);
    }
    for (const { data } of await storedPredictions(service.bus)) {
      if (data.outcome === "ok") arms.add(data.assigned);
    }
    assertEquals(arms, new Set([null, "canary"]));
  });
  // What the champion does not take either is told as it sees it.
  const error = await assertRejects(
    () =>
      Promise.all(
        entities.map((_, key) => service.call(predict, { model: MODEL, rows: [{}], key: String(key) })),
      ),
    AppError,
  );
  assertEquals(error.reasons.map(({ path }) => path), ["/rows/0/orders.count", "/rows/0/orders.spend"]);
});

Deno.test("a mistake in an entity of a split call is told by its place in the call", async () => {
  await using service = await startServing({ features: [1, 0] });
  await pointAlias(service.bus, "challenger", 2, sumModelFile([2, 0]));
  await deploy(service, SPLIT);
  const answer = await bothAnswer(service);
  for (const arm of ["control", "canary"]) {
    // Not the first of its arm, whose place in its part differs from that in the call.
    const wrong = entities.findLastIndex((_, row) => armOf(answer, row) === arm);
    const features = entities.map((_, row) => row === wrong ? { "orders.spend": 1e39 } : {});
    const error = await assertRejects(
      () => service.call(predict, { model: MODEL, entities, features }),
      AppError,
    );
    assertEquals(error.reasons.map(({ path }) => path), [`/features/${wrong}/orders.spend`]);
    assertStringIncludes(error.message, `/features/${wrong}/`);
  }
});

Deno.test("a split call is refused with the store's own reasons where an entity is wrong", async () => {
  await using service = await startServing();
  await using _store = await startFeatureStore(service.bus, () => [1, 0], ({ entities }) => {
    const wrong = entities.findIndex(({ customer_id }) => customer_id === "31");
    if (wrong < 0 || !isStrict) return;
    throw invalid("Cannot read features", [{ path: `/entities/${wrong}`, message: "is no customer" }]);
  });
  let isStrict = false;
  await pointAlias(service.bus, "challenger", 2, sumModelFile([2, 0]));
  await deploy(service, SPLIT);
  await bothAnswer(service);
  isStrict = true;
  const error = await assertRejects(() => service.call(predict, { model: MODEL, entities }), AppError);
  assertEquals([error.code, error.reasons.map(({ path }) => path)], ["invalid", ["/entities/31"]]);
});
