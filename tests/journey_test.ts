import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { call } from "shared/bus/endpoints.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { overview } from "shared/contracts/console.ts";
import { ledger } from "shared/contracts/data_ingestion.ts";
import { counts as cleaningCounts } from "shared/contracts/data_preprocessing.ts";
import { counts as featureCounts, online } from "shared/contracts/feature_store.ts";
import { askAboutOneCustomer } from "../examples/online-retail/client.ts";
import { predictionCounts } from "shared/contracts/model_monitoring.ts";
import { predict, servedModels } from "shared/contracts/model_serving.ts";
import {
  aliasHistory,
  compareVersions,
  getRun,
  type ModelCard,
  rollbackAlias,
  type RunDetail,
  type RunEvent,
  setAlias,
  startRun,
} from "shared/contracts/model_training.ts";
import { AppError } from "shared/errors.ts";
import { applyPlan, fetchPlan } from "shared/project/apply.ts";
import { eventually } from "shared/testing/poll.ts";
import { gitRevision } from "../scripts/git_revision.ts";
import { SERVICES } from "../scripts/services.ts";
import { ONE_CUSTOMER } from "../examples/online-retail/expected.ts";
import { type JourneyStack, startJourneyStack } from "./journey_stack.ts";
import { chooseCustomers, historyOf, recordsOf, sliceProject } from "./retail_slice.ts";

const ACTOR = "journey";
const MODEL = "reorder";
const ROOT = new URL("..", import.meta.url).pathname;

interface CommandOutcome {
  code: number;
  output: string;
}

/** `deno task ml ...` as a process, as a user runs it. */
async function ml({ stack }: JourneyStack, args: readonly string[]): Promise<CommandOutcome> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "ml", ...args],
    cwd: ROOT,
    env: { NATS_URL: stack.natsUrl, NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** Changes of the plan, such as `create source products`. */
async function planOf({ bus }: JourneyStack, project = sliceProject()): Promise<string[]> {
  const { changes } = await fetchPlan(bus, project);
  return changes.map(({ action, part, name }) => `${action} ${part.kind} ${name}`);
}

/** Asks for a run and follows it to its end, as a page does. */
async function train(
  { stack, bus }: JourneyStack,
  parameters?: Record<string, number>,
): Promise<{ run: RunDetail; events: RunEvent[] }> {
  const { id } = await call(
    bus,
    startRun,
    { model: MODEL, reason: "journey", ...(parameters === undefined ? {} : { parameters }) },
    { actor: ACTOR },
  );
  const response = await fetch(`${stack.services.get("model-training")!.url}/v1/runs/${id}/events`);
  const events = [...(await response.text()).matchAll(/^data: (.*)$/gm)]
    .map(([, event]): RunEvent => JSON.parse(event!));
  const run = await call(bus, getRun, { id });
  assertEquals([run.status, run.error], ["done", null]);
  return { run, events };
}

Deno.test("a slice of the example goes all the way from its definition to predictions", async (t) => {
  await using journey = await startJourneyStack();
  const { stack, bus, folder } = journey;

  await t.step("apply goes on where a part failed because its owner was away", async () => {
    const plan = await fetchPlan(bus, sliceProject());
    await stack.kill("alert");
    const { applied, failed } = await applyPlan(bus, plan, { actor: ACTOR });
    assertEquals(failed.map(({ change, error }) => [change.part.kind, error.code]), [
      ["alert-rule", "unavailable"],
    ]);
    assertEquals(applied, plan.changes.length - 1);
    const { code, output } = await ml(journey, ["apply", "examples/online-retail/project.ts"]);
    assertEquals(code, 1, output);
    assertStringIncludes(output, "alert does not answer");

    await stack.restart("alert");
    assertEquals(await planOf(journey), ["create alert-rule reorder_drift"]);
    assertEquals((await applyPlan(bus, await fetchPlan(bus, sliceProject()), { actor: ACTOR })).applied, 1);
  });

  await t.step("applying the same project again finds nothing to do", async () => {
    assertEquals(await planOf(journey), []);
  });

  await t.step("deno task ml apply makes the changes of a file, and none the second time", async () => {
    const file = `${folder}/slice.json`;
    await Deno.writeTextFile(file, JSON.stringify(sliceProject()));
    const same = await ml(journey, ["apply", file]);
    assertEquals(same.code, 0, same.output);
    assertStringIncludes(same.output, "Plan: 0 to create, 0 to change, 0 to remove");

    const first = await ml(journey, ["apply", "examples/online-retail/platform_logs.ts"]);
    assertEquals(first.code, 0, first.output);
    assertMatch(first.output, /\+ source logs[\s\S]*Plan: 3 to create[\s\S]*Applied: 3 made, 0 failed/);
    const second = await ml(journey, ["apply", "examples/online-retail/platform_logs.ts"]);
    assertEquals(second.code, 0, second.output);
    assertStringIncludes(
      second.output,
      "Plan: 0 to create, 0 to change, 0 to remove with --prune, 3 unchanged",
    );
  });

  await t.step(
    "what a project no longer declares is removed when pruning is asked for, and not before",
    async () => {
      const { products: _source, ...sources } = sliceProject().sources;
      const { products: _cleaning, ...cleaning } = sliceProject().cleaning;
      const smaller = { ...sliceProject(), sources, cleaning };
      const removals = ["remove cleaning products", "remove source products"];
      assertEquals(await planOf(journey, smaller), removals);
      const apply = async (prune: boolean) =>
        (await applyPlan(bus, await fetchPlan(bus, smaller), { actor: ACTOR, prune })).applied;
      assertEquals(await apply(false), 0);
      assertEquals(await planOf(journey, smaller), removals);
      assertEquals(await apply(true), 2);
      assertEquals(await planOf(journey, smaller), []);

      assertEquals((await applyPlan(bus, await fetchPlan(bus, sliceProject()), { actor: ACTOR })).applied, 2);
    },
  );

  await t.step("a name of this project is refused to another one", async () => {
    const { sources } = sliceProject();
    const other = { ...sliceProject(), project: "rival", sources: { user_events: sources["user_events"]! } };
    const plan = await fetchPlan(bus, {
      ...other,
      cleaning: {},
      entities: {},
      views: {},
      featureServices: {},
      models: {},
      deployments: {},
      monitors: {},
      alerts: {},
      pipelines: {},
    });
    const { failed } = await applyPlan(bus, plan, { actor: ACTOR });
    assertEquals(failed.map(({ change, error }) => [change.part.kind, error.code]), [["source", "conflict"]]);
  });

  await t.step("the counts of what is published agree at every stage", async () => {
    const messages = await historyOf(await chooseCustomers(60));
    await publishAll(bus, messages.map(({ message }) => message));
    const lines = recordsOf(messages, "user_events");
    const products = recordsOf(messages, "products");
    assert(lines > 3_000 && products > 500, `${lines} lines, ${products} products`);

    await eventually(async () => {
      const { sources } = await call(bus, featureCounts, {});
      const received = sources.reduce((sum, row) => sum + row.received, 0);
      const { sources: cleaned } = await call(bus, cleaningCounts, {});
      assertEquals(received, cleaned.reduce((sum, row) => sum + row.clean, 0));
      assertEquals(cleaned.reduce((sum, row) => sum + row.received, 0), lines + products);
    }, { timeoutMs: 60_000 });

    const { sources: ingested } = await call(bus, ledger, {});
    assertEquals(
      ingested.map(({ source, accepted, stored, pending }) => ({ source, accepted, stored, pending })),
      [
        { source: "products", accepted: products, stored: products, pending: 0 },
        { source: "user_events", accepted: lines, stored: lines, pending: 0 },
      ],
    );
    const { sources: cleaned } = await call(bus, cleaningCounts, { source: "user_events" });
    const { sources: applied } = await call(bus, featureCounts, {});
    const records = applied.find(({ source }) => source === "user_events")!;
    assertEquals(records.records, cleaned[0]!.clean);
    assertEquals(records.received, records.records);
  });

  await t.step("the features of a customer are those of a reference", async () => {
    const { rows, features } = await call(bus, online, {
      features: { service: MODEL },
      entities: [{ customer_id: ONE_CUSTOMER.customer }],
      asOf: ONE_CUSTOMER.at,
    });
    assertEquals(features, Object.keys(ONE_CUSTOMER.features));
    assertEquals(new Set(rows[0]!.statuses), new Set(["PRESENT"]));
    Object.entries(ONE_CUSTOMER.features).forEach(([name, expected], index) => {
      assertAlmostEquals(rows[0]!.values[index] as number, expected, 1e-6, name);
    });
  });

  await t.step("a trained version is served as soon as the alias points to it", async () => {
    const before = await assertRejects(
      () => call(bus, predict, { model: MODEL, entities: [{ customer_id: ONE_CUSTOMER.customer }] }),
      AppError,
    );
    assertEquals(before.code, "unavailable");

    const { run, events } = await train(journey);
    assertEquals(run.version, 1);
    assertEquals(run.evaluation?.testFrom, "2011-03-14T00:00:00.000Z");
    // Files may be changed while the test runs.
    const [commit] = (await gitRevision(ROOT)).split("-");
    assertStringIncludes(run.environment["gitRevision"]!, commit!);
    assertEquals(events.map(({ sequence }) => sequence), events.map((_, index) => index + 1));
    assertEquals([events[0]!.status, events.at(-1)!.status, events.at(-1)!.version], ["queued", "done", 1]);
    await call(bus, setAlias, { model: MODEL, alias: "champion", version: 1, reason: "journey" }, {
      actor: ACTOR,
    });
    await eventually(async () => {
      const { models } = await call(bus, servedModels, {});
      assertEquals(models.map(({ version, state }) => ({ version, state })), [{
        version: 1,
        state: "ready",
      }]);
    });
    const url = stack.services.get("model-serving")!.url;
    const response = await fetch(`${url}/v1/models/${MODEL}/predict`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ entities: [{ customer_id: ONE_CUSTOMER.customer }] }),
    });
    assertEquals(response.status, 200);
    const { version, predictions } = await response.json();
    assertEquals(version, 1);
    assert(predictions[0].output > 0 && predictions[0].output < 1, String(predictions[0].output));
    await eventually(async () => {
      const { models } = await call(bus, predictionCounts, {});
      // The call that came before there was a version is an outcome too.
      assertEquals(models, [{ model: MODEL, predictions: 2, errors: 1, missing: 0 }]);
    });
  });

  await t.step(
    "the typed client of the guide stores, reads and predicts, over HTTP and over NATS alike",
    async () => {
      const example = await Deno.readTextFile(
        new URL("../examples/online-retail/client.ts", import.meta.url),
      );
      const guide = await Deno.readTextFile(new URL("../docs/CLIENT.md", import.meta.url));
      assertStringIncludes(guide, `\`\`\`ts\n${example}\`\`\``);
      const services = Object.fromEntries([...stack.services].map(([name, { url }]) => [name, url]));
      const gateway = stack.services.get("console")!.url;
      for (const where of [{ gateway }, { services }, { nats: stack.natsUrl }]) {
        const { stored, ordersOfTheMonth, chance } = await askAboutOneCustomer(where);
        assert(["stored", "duplicate"].includes(stored.status));
        assert(
          typeof ordersOfTheMonth === "number" && chance > 0 && chance < 1,
          `${ordersOfTheMonth}, ${chance}`,
        );
      }
    },
  );

  await t.step("an answer is explained by its features, which add up to it", async () => {
    const { predictions: [answer] } = await call(bus, predict, {
      model: MODEL,
      entities: [{ customer_id: ONE_CUSTOMER.customer }],
      explain: true,
    });
    const { unit, base, contributions } = answer!.explanation!;
    assertEquals([unit, Object.keys(contributions)], ["probability", Object.keys(ONE_CUSTOMER.features)]);
    const sum = Object.values(contributions).reduce<number>(
      (total, part) => total + (part as number),
      base as number,
    );
    assertAlmostEquals(sum, answer!.output, 1e-6);
  });

  await t.step("a worse candidate stays out", async () => {
    const { run } = await train(journey, {
      rounds: 300,
      learningRate: 0.5,
      maxLeaves: 64,
      minRowsPerLeaf: 2,
    });
    assertEquals(run.version, 2);
    const comparison = await call(bus, compareVersions, { model: MODEL, candidate: 2 }, {
      actor: ACTOR,
      timeoutMs: 30_000,
    });
    assertEquals(comparison.champion, 1);
    assertEquals(comparison.passed, false);
    assert(comparison.candidateValue! > comparison.championValue!, JSON.stringify(comparison));
    assert(comparison.reasons.length > 0);
  });

  await t.step("an alias goes back in one call, and its history says who moved it and why", async () => {
    const champion = { model: MODEL, alias: "champion" };
    const serves = (version: number) =>
      eventually(async () => {
        const { models } = await call(bus, servedModels, {});
        assertEquals(models.map(({ version, state }) => ({ version, state })), [{ version, state: "ready" }]);
      });
    await call(bus, setAlias, { ...champion, version: 2, reason: "a mistake" }, { actor: "ada" });
    await serves(2);
    const back = await call(bus, rollbackAlias, { ...champion, reason: "it is worse" }, { actor: "bob" });
    assertEquals(back.version, 1);
    await serves(1);
    const { aliases, moves } = await call(bus, aliasHistory, champion);
    assertEquals(aliases, { champion: 1 });
    assertEquals(moves.map(({ kind, version, actor, reason }) => [kind, version, actor, reason]), [
      ["rollback", 1, "bob", "it is worse"],
      ["set", 2, "ada", "a mistake"],
      ["set", 1, ACTOR, "journey"],
    ]);

    const versions = `${stack.services.get("model-training")!.url}/v1/models/${MODEL}/versions`;
    const card: ModelCard = await (await fetch(`${versions}/2/card`)).json();
    assertEquals([card.moves.map(({ actor }) => actor), card.comparisons.map(({ passed }) => passed)], [
      ["ada"],
      [false],
    ]);
    const page = await (await fetch(`${versions}/2/card.html`)).text();
    for (const shown of ["a mistake", "Judgements of the gate", "Calibration"]) {
      assertStringIncludes(page, shown);
    }
  });

  await t.step("the console shows every stage ready, with nothing left to do and nothing dead", async () => {
    await call(bus, overview, {});
    await eventually(async () => {
      const { stages, streams } = await call(bus, overview, {});
      assertEquals(stages.map(({ service }) => service), SERVICES.map(({ name }) => name));
      for (const { service, health, copies, lag, deadLetters, handled, rate, reads } of stages) {
        assertEquals([service, health, copies], [service, "ready", 1]);
        assertEquals([service, lag], [service, reads.length > 0 ? 0 : lag]);
        assertEquals([service, deadLetters ?? 0], [service, 0]);
        assert(
          handled !== null && rate !== null && rate >= 0,
          `${service}: ${handled} handled, rate ${rate}`,
        );
      }
      assertEquals(streams.find(({ name }) => name === "DEADLETTER")?.messages, 0);
    });
  });
});
