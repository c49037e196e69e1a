/**
 * Every kind of rollout of the example's own model, trained by the platform, under load on two copies of model-serving.
 *
 * `deno task prove:serving` runs it, with `MICROML_EXAMPLE_CALLS=25000`: so many calls for each of the six loads. The
 * short form is services/model-serving/routing/rollout_test.ts, with models that are made for it.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { call } from "shared/bus/endpoints.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { ledger } from "shared/contracts/data_ingestion.ts";
import { counts as featureCounts } from "shared/contracts/feature_store.ts";
import { counts as cleaningCounts } from "shared/contracts/data_preprocessing.ts";
import { logGaps, predictionCounts, shadowDifferences } from "shared/contracts/model_monitoring.ts";
import { putDeployment, servedModels } from "shared/contracts/model_serving.ts";
import { getRun, rollbackAlias, setAlias, startRun } from "shared/contracts/model_training.ts";
import { applyPlan, fetchPlan } from "shared/project/apply.ts";
import { eventually } from "shared/testing/poll.ts";
import { customerOf, DRIFT_FROM, isOrder, loadMessages, timeOf } from "../examples/online-retail/load.ts";
import retail from "../examples/online-retail/project.ts";
import { type JourneyStack, startJourneyStack } from "./journey_stack.ts";
import { type Answer, type Load, type LoadOptions, startLoad } from "./serving_load.ts";

const CALLS = Number(Deno.env.get("MICROML_EXAMPLE_CALLS") ?? 0);
const MODEL = "reorder";
const DAY_MS = 86_400_000;
const PATIENCE = { timeoutMs: 240_000 };

const SERVICES = [
  "data-ingestion",
  "data-preprocessing",
  "feature-store",
  "model-training",
  "model-serving",
  "model-monitoring",
];

/** Loads the example's history. @returns customers who ordered lately, as those did that the model has learnt from */
async function loadExample({ bus }: JourneyStack): Promise<number[]> {
  const project = {
    ...retail,
    monitors: {},
    alerts: {},
    pipelines: {},
  };
  const { failed } = await applyPlan(bus, await fetchPlan(bus, project), { actor: "test" });
  assertEquals(failed, []);
  const history = await Array.fromAsync(loadMessages({ until: DRIFT_FROM }));
  for (const { message } of history) await publishAll(bus, [message]);
  const records = history.reduce((sum, loaded) => sum + loaded.records, 0);
  await eventually(async () => {
    const stored = (await call(bus, ledger, {})).sources.reduce((sum, { stored }) => sum + stored, 0);
    const cleaned = (await call(bus, cleaningCounts, {})).sources;
    const applied = (await call(bus, featureCounts, {})).sources;
    assertEquals([stored, cleaned.reduce((sum, { received }) => sum + received, 0)], [records, records]);
    assertEquals(
      applied.reduce((sum, { received }) => sum + received, 0),
      cleaned.reduce((sum, { clean }) => sum + clean, 0),
    );
  }, PATIENCE);
  const ordered = history.flatMap(({ lines }) => lines.map(({ line }) => line).filter(isOrder));
  const times = ordered.map((line) => Date.parse(timeOf(line)));
  const since = times.reduce((latest, time) => Math.max(latest, time)) - 50 * DAY_MS;
  return [...new Set(ordered.filter((_, index) => times[index]! > since).map((line) => customerOf(line)!))];
}

/** Trains a version, as the project says or by another algorithm. */
async function train(
  { bus }: JourneyStack,
  change: { algorithm?: string; parameters?: Record<string, number> } = {},
) {
  const { id } = await call(bus, startRun, { model: MODEL, ...change });
  return await eventually(async () => {
    const run = await call(bus, getRun, { id });
    assertEquals([run.status, run.error], ["done", null]);
    return run.version!;
  }, PATIENCE);
}

/** Five standard errors: by chance it is exceeded once in two million times. */
const near = (share: number, expected: number, count: number) =>
  assert(
    Math.abs(share - expected) < 5 * Math.sqrt(expected * (1 - expected) / count),
    `${share} of ${count} instead of ${expected}`,
  );

Deno.test({
  name: "canary, A/B, shadow, promotion and rollback of the example's own model, under load on two copies",
  ignore: CALLS === 0,
  fn: proveRollouts,
});

async function proveRollouts(t: Deno.TestContext): Promise<void> {
  await using journey = await startJourneyStack({ services: SERVICES, copies: { "model-serving": 2 } });
  const { stack, bus } = journey;
  const { url } = stack.services.get("model-serving")!;
  const customers = await loadExample(journey);
  assertEquals([await train(journey), await train(journey, { parameters: { rounds: 20 } })], [1, 2]);
  const point = (alias: string, version: number) =>
    call(bus, setAlias, { model: MODEL, alias, version, reason: "test" });
  const put = (body: Record<string, unknown>) =>
    call(bus, putDeployment, { project: retail.project, name: MODEL, body }, { timeoutMs: 60_000 });
  await point("champion", 1);
  await point("challenger", 2);

  const customerAt = (number: number) => customers[number % customers.length]!;
  let answered = 0;
  /** What each version says of each customer: of one that is mixed up it would be another's. */
  const outputs = new Map<string, number>();
  function load(more: Partial<LoadOptions> & { check?: (answer: Answer, call: number) => void } = {}): Load {
    const { check = () => {}, ...options } = more;
    return startLoad({
      url,
      model: MODEL,
      calls: CALLS,
      body: (number) => ({
        entities: [{ customer_id: customerAt(number) }],
        key: `visitor ${number}`,
      }),
      check(answer, number) {
        answered++;
        const { output, statuses, entity } = answer.predictions[0]!;
        const key = `${answer.version} ${entity!["customer_id"]}`;
        assertEquals(entity, { customer_id: customerAt(number) });
        assert(Object.values(statuses!).includes("PRESENT"));
        assertEquals(output, outputs.get(key) ?? output, `version and customer ${key}`);
        outputs.set(key, output);
        check(answer, number);
      },
      ...options,
    });
  }

  /** Waits until both copies serve so. */
  async function inForce(
    expected: [alias: string, version: number, weight: number | undefined][],
  ): Promise<void> {
    const seen = new Set<string>();
    await eventually(async () => {
      const response = await fetch(`${url}/readyz`, { headers: { connection: "close" } });
      seen.add((await response.json()).instance);
      assertEquals(seen.size, 2);
    }, PATIENCE);
    for (let times = 0; times < 20; times++) {
      await eventually(async () => {
        const response = await fetch(`${url}/v1/models`, { headers: { connection: "close" } });
        const { models } = await response.json() as { models: Awaited<ReturnType<typeof listed>> };
        assertEquals(models.map(({ alias, version, arm }) => [alias, version, arm?.weight]), expected);
      }, PATIENCE);
    }
  }
  const listed = async () => (await call(bus, servedModels, {})).models;

  const canary = (weight: number) => ({
    arms: {
      control: { alias: "champion", weight: Math.round((1 - weight) * 100) / 100 },
      canary: { alias: "challenger", weight },
    },
    sticky: { by: "key" },
  });

  await t.step(
    "canary: its share of keys, each key one arm on either copy, raised without taking a key back",
    async () => {
      const armsUnder = async (weight: number) => {
        await put(canary(weight));
        await inForce([["champion", 1, Math.round((1 - weight) * 100) / 100], ["challenger", 2, weight]]);
        const arms: string[] = [];
        const running = load({
          check({ arm, version }, number) {
            assertEquals(version, arm === "canary" ? 2 : 1);
            arms[number] = arm;
          },
        });
        await running.done;
        assertEquals(running.failures, []);
        near(arms.filter((arm) => arm === "canary").length / CALLS, weight, CALLS);
        return arms;
      };
      const first = await armsUnder(0.1);
      assertEquals(await armsUnder(0.1), first);
      const raised = await armsUnder(0.3);
      const moved = first.filter((arm, key) => arm !== raised[key]);
      assertEquals(new Set(moved), new Set(["control"]));
      near(moved.length / CALLS, 0.2, CALLS);
    },
  );

  await t.step("A/B: each customer one arm, on either copy, in every call", async () => {
    await put({
      arms: { a: { alias: "champion", weight: 0.5 }, b: { alias: "challenger", weight: 0.5 } },
      sticky: { by: "entity" },
    });
    await inForce([["champion", 1, 0.5], ["challenger", 2, 0.5]]);
    const armOf = new Map<number, string>();
    const running = load({
      check({ arm, version }, number) {
        const customer = customerAt(number);
        assertEquals(version, arm === "b" ? 2 : 1);
        assertEquals(arm, armOf.get(customer) ?? arm, `customer ${customer}`);
        armOf.set(customer, arm);
      },
    });
    await running.done;
    assertEquals(running.failures, []);
    const seen = [...armOf.values()];
    near(seen.filter((arm) => arm === "b").length / seen.length, 0.5, seen.length);
  });

  await t.step("shadow: callers see the champion alone, and every answer is compared", async () => {
    await put({ shadows: { candidate: { alias: "challenger" } } });
    await inForce([["champion", 1, 1], ["challenger", 2, undefined]]);
    const since = new Date().toISOString();
    const running = load({ check: ({ version, arm }) => assertEquals([version, arm], [1, "champion"]) });
    await running.done;
    assertEquals(running.failures, []);
    await eventually(async () => {
      const text = await Promise.all(
        [...Array(10)].map(() =>
          fetch(`${url}/metrics`, { headers: { connection: "close" } }).then((response) => response.text())
        ),
      );
      // What shadows had no time for is counted, not lost: each copy tells of its own.
      const passedOver = new Set(
        text.map((one) => /shadow_rows_total\{[^}]*passed_over"\} (\d+)/.exec(one)?.[1] ?? "0"),
      );
      const { differences } = await call(bus, shadowDifferences, { model: MODEL, since });
      assertEquals(differences.map(({ shadow, shadowVersion }) => [shadow, shadowVersion]), [[
        "candidate",
        2,
      ]]);
      const [{ compared, different, shadowErrors }] = differences as [typeof differences[number]];
      const missed = [...passedOver].reduce((sum, count) => sum + Number(count), 0);
      assertEquals([compared + missed, shadowErrors], [CALLS, 0]);
      assert(different > compared / 2, `${different} of ${compared} differ`);
    }, PATIENCE);
  });

  await t.step("promotion by the alias, and rollback, fail no call", async () => {
    await put({});
    await inForce([["champion", 1, 1]]);
    const seen = new Set<number>();
    const running = load({ calls: Infinity, check: ({ version }) => void seen.add(version) });
    do {
      await point("champion", 2);
      await inForce([["champion", 2, 1]]);
      const back = await call(bus, rollbackAlias, { model: MODEL, alias: "champion", reason: "test" });
      assertEquals(back.version, 1);
      await inForce([["champion", 1, 1]]);
    } while (running.answered < CALLS);
    await running.stop();
    assertEquals(running.failures, []);
    assertEquals(seen, new Set([1, 2]));
  });

  await t.step("the log holds every answer, once", async () => {
    await eventually(async () => {
      const { models } = await call(bus, predictionCounts, {});
      const { predictions, errors, missing } = models.find(({ model }) => model === MODEL)!;
      assertEquals([predictions, errors, missing], [answered, 0, 0]);
      const { boots } = await call(bus, logGaps, { model: MODEL });
      assertEquals(boots.map(({ instance }) => instance).toSorted(), ["1", "2"]);
    }, PATIENCE);
  });
}
