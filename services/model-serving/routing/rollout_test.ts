/** Rollouts through the service's doors, under load. The load is small here; MICROML_ROLLOUT_CALLS makes it long. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { ReplyOf } from "shared/contracts/endpoint.ts";
import { predict, servedModels } from "shared/contracts/model_serving.ts";
import { AppError } from "shared/errors.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { lossyBus } from "shared/testing/lossy_bus.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedPredictions } from "shared/testing/predictions.ts";
import type { TestService } from "shared/testing/service.ts";
import { classesModelFile, classesSignature, fragileModelFile, sumModelFile } from "../testing/model_file.ts";
import { deploy, MODEL, pointAlias, row, startServing } from "../testing/serving.ts";

const CALLS = Number(Deno.env.get("MICROML_ROLLOUT_CALLS") ?? 2_000);
const CONNECTIONS = 32;

type Answer = ReplyOf<typeof predict>;

/** Calls with the keys 0, 1, 2 ..., over HTTP, so many at a time. */
async function callMany(
  service: TestService,
  calls: number,
  body: (index: number) => unknown = (index) => ({ rows: [row(1, 0)], key: `customer ${index}` }),
): Promise<Answer[]> {
  const answers: Answer[] = new Array(calls);
  let next = 0;
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    for (let index = next++; index < calls; index = next++) {
      const response = await fetch(`${service.url}/v1/models/${MODEL}/predict`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body(index)),
      });
      const answer = await response.json();
      assertEquals(response.status, 200, JSON.stringify(answer));
      answers[index] = answer;
    }
  }));
  return answers;
}

/** Two versions, each of which answers its own number. */
async function startTwoVersions(options: Parameters<typeof startServing>[0] = {}): Promise<TestService> {
  const service = await startServing(options);
  await pointAlias(service.bus, "challenger", 2, sumModelFile([2, 0]));
  return service;
}

const canary = (weight: number, more: Record<string, unknown> = {}) => ({
  arms: {
    control: { alias: "champion", weight: Math.round((1 - weight) * 10_000) / 10_000 },
    canary: { alias: "challenger", weight, ...more },
  },
  sticky: { by: "key" },
});

const armsOf = (answers: readonly Answer[]) => answers.map(({ arm }) => arm);

async function inForce(service: TestService, alias: string, weight: number): Promise<void> {
  await eventually(async () => {
    const { models } = await service.call(servedModels, {});
    const served = models.find((one) => one.alias === alias);
    assertEquals([served?.state, served?.arm?.weight], ["ready", weight]);
  });
}

Deno.test("a canary gets its share of keys, each key one arm, and raising it moves only keys that it gains", async () => {
  await using service = await startTwoVersions();
  await deploy(service, canary(0.1));
  await inForce(service, "challenger", 0.1);
  const first = armsOf(await callMany(service, CALLS));
  const share = first.filter((arm) => arm === "canary").length / CALLS;
  assert(
    Math.abs(share - 0.1) < 5 * Math.sqrt(0.1 * 0.9 / CALLS),
    `the canary answered ${share} of the keys`,
  );
  assertEquals(armsOf(await callMany(service, CALLS)), first);

  await deploy(service, canary(0.3));
  await inForce(service, "challenger", 0.3);
  const answers = await callMany(service, CALLS);
  const second = armsOf(answers);
  const moved = first.flatMap((arm, index) => arm === second[index] ? [] : [`${arm} > ${second[index]}`]);
  assertEquals(new Set(moved), new Set(["control > canary"]));
  assert(
    Math.abs(moved.length / CALLS - 0.2) < 5 * Math.sqrt(0.2 * 0.8 / CALLS),
    `${moved.length} keys moved`,
  );
  // An arm's answer is that of the version that it says.
  assert(
    answers.every(({ version, arm, predictions }) =>
      version === (arm === "canary" ? 2 : 1) && predictions[0]!.output === version
    ),
  );
});

Deno.test("promotion and rollback under load fail no request and mix up no answer", async () => {
  await using service = await startTwoVersions();
  await deploy(service, canary(0.2));
  await inForce(service, "challenger", 0.2);
  let stopped = false;
  const answers: Answer[] = [];
  const load = (async () => {
    while (!stopped) answers.push(...await callMany(service, 200));
  })();
  const championIs = (version: number) =>
    eventually(async () => {
      const { models } = await service.call(servedModels, {});
      assertEquals(models.find(({ alias }) => alias === "champion")?.version, version);
    });
  // Promotion: the champion becomes what the canary was; the deployment goes back to one arm; then all of it back.
  await pointAlias(service.bus, "champion", 2, sumModelFile([2, 0]), { revision: 2 });
  await championIs(2);
  await deploy(service, {});
  await pointAlias(service.bus, "champion", 1, sumModelFile([1, 0]), { revision: 3 });
  await championIs(1);
  await deploy(service, canary(0.5));
  await inForce(service, "challenger", 0.5);
  stopped = true;
  await load;
  assert(answers.length > 200);
  assert(answers.every(({ version, predictions }) => predictions[0]!.output === version));
  assertEquals(new Set(answers.map(({ version }) => version)), new Set([1, 2]));
});

Deno.test("without a key calls are split by chance; with entities each has its own arm within one call", async () => {
  await using service = await startTwoVersions({ features: [1, 0] });
  await deploy(service, { ...canary(0.5), sticky: undefined });
  await inForce(service, "challenger", 0.5);
  const arms = armsOf(await callMany(service, 1_000, () => ({ rows: [row(1, 0)] })));
  const share = arms.filter((arm) => arm === "canary").length / arms.length;
  assert(Math.abs(share - 0.5) < 5 * Math.sqrt(0.25 / arms.length), `the canary answered ${share}`);

  await deploy(service, { ...canary(0.5), sticky: { by: "entity" } });
  const entities = Array.from({ length: 200 }, (_, index) => ({ customer_id: String(index) }));
  const told = ({ version, arm, predictions }: Answer) =>
    predictions.map((one) => [one.entity, one.version ?? version, one.arm ?? arm, one.output]);
  await eventually(async () => {
    const answer = await service.call(predict, { model: MODEL, entities });
    assertEquals(new Set(told(answer).map(([, , arm]) => arm)), new Set(["control", "canary"]));
  });
  const [once, again] = await Promise.all(
    [0, 1].map(() => service.call(predict, { model: MODEL, entities })),
  );
  assertEquals(told(again!), told(once!));
  assertEquals(told(once!).map(([entity]) => entity), entities);
  assert(
    told(once!).every(([, version, arm, output]) =>
      output === version && (arm === "canary") === (version === 2)
    ),
  );
  // The call took as long as its slower part.
  const ids = new Set(once!.predictions.map(({ id }) => id));
  await eventually(async () => {
    const records = (await storedPredictions(service.bus)).filter(({ id }) => ids.has(id));
    assertEquals(records.length, entities.length);
    assertEquals(once!.times.totalMs, Math.max(...records.map(({ data }) => data.latencyMs)));
  });
  // Alone an entity has the arm that it has among others.
  const [, , arm] = told(once!)[7]!;
  assertEquals((await service.call(predict, { model: MODEL, entities: [entities[7]!] })).arm, arm);
});

Deno.test("a shadow sees what callers ask, changes nothing for them, and stands beside their answers in the log", async () => {
  await using service = await startTwoVersions();
  await deploy(service, { shadows: { candidate: { alias: "challenger", tolerance: 0.5 } } });
  await eventually(async () => {
    const { models } = await service.call(servedModels, {});
    assertEquals(models.find(({ alias }) => alias === "challenger")?.state, "ready");
  });
  const answers = await callMany(service, 200, (index) => ({ rows: [row(index % 2, 0)] }));
  assert(answers.every(({ arm, version }) => arm === "champion" && version === 1));
  const shadowed = async () =>
    (await storedPredictions(service.bus)).map(({ data }) => data)
      .filter(({ shadowOf }) => shadowOf !== null);
  await eventually(async () => assertEquals((await shadowed()).length, 200));
  const records = await shadowed();
  assertEquals(
    new Set(records.map(({ shadowOf }) => shadowOf)),
    new Set(answers.map(({ predictions }) => predictions[0]!.id)),
  );
  assert(
    records.every(({ arm, version, output, features }) =>
      arm === "candidate" && version === 2 && output === 2 * Number(features["orders.count"])
    ),
  );
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  const labels = `model="${MODEL}",shadow="candidate"`;
  assertStringIncludes(metrics, `shadow_rows_total{${labels},outcome="alike"} 100`);
  assertStringIncludes(metrics, `shadow_rows_total{${labels},outcome="different"} 100`);
  assertStringIncludes(metrics, `shadow_difference_sum{${labels}} 100`);
});

Deno.test("an arm that fails is taken out of the traffic, and callers get the champion's answer all along", async () => {
  await using service = await startServing();
  // It loads and answers its trial, and fails for rows beyond it.
  await pointAlias(service.bus, "challenger", 2, fragileModelFile(100));
  await deploy(service, canary(0.5, { breaker: { minCalls: 5, errorRate: 0.5, pause: "PT60S" } }));
  await inForce(service, "challenger", 0.5);
  const answers = await callMany(
    service,
    400,
    (index) => ({ rows: [row(1_000, 0)], key: `customer ${index}` }),
  );
  assert(answers.every(({ arm, predictions }) => arm === "control" && predictions[0]!.output === 1_000));
  const { models } = await service.call(servedModels, {});
  assertEquals(models.find(({ alias }) => alias === "challenger")?.arm?.breaker, "open");
  await eventually(async () => {
    const records = (await storedPredictions(service.bus)).map(({ data }) => data);
    const answered = records.filter(({ outcome }) => outcome === "ok");
    assertEquals(answered.length, 400);
    const rerouted = answered.filter(({ assigned }) => assigned === "canary");
    assertEquals<Set<string | null>>(
      new Set(rerouted.map(({ rerouted }) => rerouted)),
      new Set<string | null>(["error", "breaker"]),
    );
    // Each attempt that failed is there too.
    const failed = records.filter(({ outcome, arm }) => outcome === "error" && arm === "canary");
    assertEquals(failed.length, rerouted.filter(({ rerouted }) => rerouted === "error").length);
  });
});

Deno.test("an arm that answers with no number fails, and callers get the champion's answer", async () => {
  await using service = await startServing();
  await pointAlias(service.bus, "challenger", 2, sumModelFile([3e38, 0]));
  await deploy(service, canary(1, { breaker: { minCalls: 5, errorRate: 0.5, pause: "PT60S" } }));
  await inForce(service, "challenger", 1);
  const answers = await callMany(service, 20, (index) => ({ rows: [row(10, 0)], key: `customer ${index}` }));
  assertEquals(new Set(armsOf(answers)), new Set(["control"]));
  assertEquals(new Set(answers.map(({ predictions }) => predictions[0]!.output)), new Set([10]));
  const { models } = await service.call(servedModels, {});
  assertEquals(models.find(({ alias }) => alias === "challenger")?.arm?.breaker, "open");
});

Deno.test("a call that its arm fails and for which the champion has no room is logged as both", async () => {
  await using service = await startServing();
  await pointAlias(service.bus, "challenger", 2, fragileModelFile(100));
  await deploy(service, {
    arms: {
      control: { alias: "champion", weight: 0, limits: { rowsPerSecond: 1 } },
      canary: { alias: "challenger", weight: 1, breaker: { minCalls: 1_000 } },
    },
  });
  await inForce(service, "challenger", 1);
  const rows = [row(1_000, 0)];
  // The champion takes a row a second: not all of these.
  const asked = await Promise.allSettled(
    Array.from({ length: 10 }, () => service.call(predict, { model: MODEL, rows })),
  );
  const refused = asked.flatMap((one) => one.status === "rejected" ? [one.reason as AppError] : []);
  assert(refused.length > 0);
  for (const { code, message } of refused) {
    assertEquals(code, "unavailable");
    assertStringIncludes(message, '"control" is at its limit');
  }
  await eventually(async () => {
    const records = (await storedPredictions(service.bus)).map(({ data }) => data);
    const of = (arm: string, code: string | null) =>
      records.filter((one) => one.arm === arm && one.code === code).length;
    assertEquals(
      [of("canary", "internal"), of("control", null), of("control", "unavailable")],
      [10, 10 - refused.length, refused.length],
    );
  });
});

Deno.test("an arm whose alias moves to a version of other classes is answered by the champion", async () => {
  await using service = await startTwoVersions();
  await deploy(service, canary(0.5));
  await inForce(service, "challenger", 0.5);
  await pointAlias(service.bus, "challenger", 3, classesModelFile(), { signature: classesSignature });
  await eventually(async () => {
    const { models } = await service.call(servedModels, {});
    assertEquals(models.find(({ alias }) => alias === "challenger")?.version, 3);
  });
  const answers = await callMany(service, 100);
  assert(answers.every(({ arm, version }) => arm === "control" && version === 1));
  await eventually(async () => {
    const records = await storedPredictions(service.bus);
    const rerouted = records.filter(({ data }) => data.assigned === "canary");
    assert(rerouted.length > 20 && rerouted.every(({ data }) => data.rerouted === "no_version"));
  });
});

Deno.test("a call that lacks the key by which the deployment assigns is refused", async () => {
  await using service = await startTwoVersions();
  await deploy(service, canary(0.5));
  await inForce(service, "challenger", 0.5);
  const error = await assertRejects(
    () => service.call(predict, { model: MODEL, rows: [row(1, 0)] }),
    AppError,
  );
  assertEquals([error.code, error.reasons.map(({ path }) => path)], ["invalid", ["/key"]]);
});

Deno.test("a change of a deployment reaches every copy, also one that was cut off when it was made", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-serving");
  await using one = await startServing({ bus, databaseUrl: database.url });
  await pointAlias(bus, "challenger", 2, sumModelFile([2, 0]));
  await using cutOff = await bus.connect({ name: "another copy" });
  await using other = await startServing({ bus: cutOff, databaseUrl: database.url, again: true });
  const put = async (weight: number) => {
    const response = await fetch(`${one.url}/v1/deployments/${MODEL}`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ project: "shop", body: canary(weight) }),
    });
    assertEquals(response.status, 200, await response.text());
  };
  const weightAt = async ({ url }: TestService) => {
    const { models } = await (await fetch(`${url}/v1/models`)).json();
    return models.find(({ alias }: { alias: string }) => alias === "challenger")?.arm?.weight;
  };
  await put(0.1);
  await eventually(async () => assertEquals(await weightAt(other), 0.1));
  await bus.server.kill();
  // Both go on with what they have; the copy that takes the change has it at once.
  assertEquals((await callMany(other, 50)).length, 50);
  await put(0.2);
  assertEquals([await weightAt(one), await weightAt(other)], [0.2, 0.1]);
  await bus.server.restart();
  await eventually(async () => assertEquals(await weightAt(other), 0.2), { timeoutMs: 20_000 });
});

Deno.test("a change of a deployment, and of an alias, reaches a copy that lost the messages which told of it", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-serving");
  await using one = await startServing({ bus, databaseUrl: database.url });
  await pointAlias(bus, "challenger", 2, sumModelFile([2, 0]));
  const lossy = lossyBus(bus);
  await using other = await startServing({ bus: lossy, databaseUrl: database.url, again: true });
  const servedAt = async ({ url }: TestService) => {
    const { models }: ReplyOf<typeof servedModels> = await (await fetch(`${url}/v1/models`)).json();
    return models.map(({ alias, version, arm }) => [alias, version, arm?.weight]);
  };
  lossy.lose(1);
  const response = await fetch(`${one.url}/v1/deployments/${MODEL}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ project: "shop", body: canary(0.1) }),
  });
  assertEquals(response.status, 200, await response.text());
  const changed = [["champion", 1, 0.9], ["challenger", 2, 0.1]];
  await eventually(async () => assertEquals(await servedAt(one), changed));
  await eventually(async () => assertEquals(await servedAt(other), changed));
  assertEquals(lossy.lost, 1);

  lossy.lose(1);
  await pointAlias(bus, "champion", 3, sumModelFile([3, 0]));
  for (const copy of [one, other]) {
    await eventually(async () => assertEquals((await servedAt(copy))[0], ["champion", 3, 0.9]));
  }
  assertEquals(lossy.lost, 2);
});
