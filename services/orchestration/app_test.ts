import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { encodeBatches } from "shared/bus/batch.ts";
import type { Bus } from "shared/bus/connection.ts";
import { serveEndpoints } from "shared/bus/endpoints.ts";
import { publishAll } from "shared/bus/publisher.ts";
import type { Alert } from "shared/contracts/alert.ts";
import { bind, type CallContext } from "shared/contracts/endpoint.ts";
import { EVENT_TYPE } from "shared/contracts/envelope.ts";
import { servedModels } from "shared/contracts/model_serving.ts";
import {
  compareVersions,
  getRun,
  rollbackAlias,
  type Run,
  type RunDetail,
  setAlias,
  startRun,
} from "shared/contracts/model_training.ts";
import {
  getPipelineRun,
  listPipelineRuns,
  type PipelineRun,
  putPipeline,
  startPipelineRun,
} from "shared/contracts/orchestration.ts";
import { STREAM, subject } from "shared/contracts/streams.ts";
import { AppError, unavailable } from "shared/errors.ts";
import { startThrowawayPostgres } from "shared/infra/throwaway.ts";
import { silentLogger } from "shared/log.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { crashPointSuite } from "shared/testing/crash_points.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService, type TestService } from "shared/testing/service.ts";
import { createApp } from "./app.ts";
import { configSchema } from "./config.ts";
import { STEP_NAMES, type StepName } from "./domain.ts";

const start = (options: { bus?: Bus; databaseUrl?: string } = {}) =>
  startTestService("orchestration", configSchema, createApp, options);

const pipeline = (body: Record<string, unknown> = {}) => ({
  project: "shop",
  name: "retrain",
  body: { model: "reorder", on: { alerts: ["drift"] }, ...body },
});

/** Stand-ins for model-training and model-serving: the test decides what training comes to. */
interface Neighbours extends AsyncDisposable {
  /** Calls that changed something, by their idempotency key. */
  readonly mutations: Map<string, string>;
  trains: Pick<Run, "status" | "version" | "error">;
  passes: boolean;
  /** The step that does not come to its end for now. */
  holds: StepName | undefined;
  /** Why model-serving can't take what the alias points to. */
  refusal: string | undefined;
}

async function startNeighbours(bus: Bus): Promise<Neighbours> {
  let champion = 1;
  const mutations = new Map<string, string>();
  const note = (what: string, context: CallContext) => mutations.set(context.idempotencyKey ?? "none", what);
  const refuseWhileHeld = (step: StepName) => {
    if (neighbours.holds === step) throw unavailable(`Cannot ${step}: the test holds it`);
  };
  const neighbours: Neighbours = {
    mutations,
    trains: { status: "done", version: 2, error: null },
    passes: true,
    holds: undefined,
    refusal: undefined,
    async [Symbol.asyncDispose]() {
      await training[Symbol.asyncDispose]();
      await serving[Symbol.asyncDispose]();
    },
  };
  const training = await serveEndpoints(bus, {
    service: "model-training",
    version: "0.0.0",
    log: silentLogger,
    stats: () => Promise.resolve({}),
    endpoints: [
      bind(startRun, (_request, context) => {
        note("train", context);
        return Promise.resolve({ id: "0198c0de-0000-7000-8000-000000000001" });
      }),
      bind(
        getRun,
        ({ id }) =>
          Promise.resolve({ ...aRun(id), ...(neighbours.holds === "train" ? {} : neighbours.trains) }),
      ),
      bind(compareVersions, (_request, context) => {
        refuseWhileHeld("compare");
        note("compare", context);
        return Promise.resolve({
          id: "0198c0de-0000-7000-8000-000000000002",
          candidate: 2,
          champion,
          metric: "log_loss" as const,
          rows: 1_000,
          candidateValue: 0.5,
          championValue: 0.6,
          baselineValue: 0.65,
          gain: 0.1,
          passed: neighbours.passes,
          slices: [],
          reasons: ["log_loss 0.5 against 0.6"],
        });
      }),
      bind(setAlias, (request, context) => {
        refuseWhileHeld("promote");
        note(`${request.alias} ${request.replaces} -> ${request.version}`, context);
        champion = request.version;
        return Promise.resolve({ revision: 2, changed: true });
      }),
      bind(rollbackAlias, (request, context) => {
        note(`${request.alias} back from ${request.replaces}: ${request.reason}`, context);
        champion = 1;
        return Promise.resolve({ version: 1, revision: 3 });
      }),
    ],
  });
  const serving = await serveEndpoints(bus, {
    service: "model-serving",
    version: "0.0.0",
    log: silentLogger,
    stats: () => Promise.resolve({}),
    endpoints: [
      bind(servedModels, () =>
        Promise.resolve({
          models: [{
            model: "reorder",
            alias: "champion",
            version: neighbours.holds === "confirm" || neighbours.refusal !== undefined ? null : champion,
            state: neighbours.refusal === undefined ? "ready" as const : "failed" as const,
            error: neighbours.refusal ?? null,
            arm: null,
            shadows: [],
          }],
        })),
    ],
  });
  return neighbours;
}

function aRun(id: string): RunDetail {
  return {
    id,
    project: "shop",
    kind: "trained",
    model: "reorder",
    status: "running",
    stage: "fit",
    progress: 0.5,
    error: null,
    algorithm: "gbdt",
    parameters: {},
    seed: 1,
    tags: {},
    metrics: {},
    trainingSet: null,
    evaluation: null,
    version: null,
    actor: "orchestration",
    reason: "",
    createdAt: "2026-01-01T00:00:00.000Z",
    finishedAt: null,
    retryOf: null,
    loggedRun: null,
    importedAs: [],
    environment: {},
    gitRevision: null,
    testLook: null,
    artifacts: [],
    trials: [],
  };
}

function publishAlert(bus: Bus, id: string, state: Alert["state"] = "firing"): Promise<void> {
  const at = "2026-01-01T00:00:00.000Z";
  const data: Alert = {
    id,
    project: "shop",
    rule: "drift",
    severity: "critical",
    state,
    revision: state === "firing" ? 1 : 2,
    since: at,
    resolvedAt: state === "resolved" ? at : null,
    summary: "drift",
    signal: {
      project: "shop",
      kind: "drift",
      subjectType: "model",
      name: "reorder",
      status: state === "firing" ? "breach" : "ok",
      value: 1,
      threshold: 0.25,
      summary: "drift",
      details: {},
    },
  };
  const event = {
    specversion: "1.0" as const,
    id: `${id}/${data.revision}`,
    source: "drift",
    type: EVENT_TYPE.alert,
    time: at,
    knownat: at,
    definition: 1,
    data,
  };
  return publishAll(bus, encodeBatches([event], { subject: subject.alert("critical") }));
}

const alertId = (number: number) => `0198c0de-0000-7000-8000-${String(number).padStart(12, "0")}`;

async function endedRun(service: TestService): Promise<PipelineRun> {
  let ended: PipelineRun | undefined;
  await eventually(async () => {
    const { runs } = await service.call(listPipelineRuns, {});
    ended = runs.find(({ finishedAt, status }) => finishedAt !== null && status !== "skipped");
    assert(ended, "no run has ended yet");
  });
  return ended!;
}

const stepsOf = (run: PipelineRun) => run.steps.map(({ name, status }) => `${name} ${status}`);

Deno.test("an alert that fires retrains the model, and the gate's winner is promoted and confirmed", async () => {
  await using service = await start();
  await using neighbours = await startNeighbours(service.bus);
  await service.call(putPipeline, pipeline());
  await publishAlert(service.bus, alertId(1));

  const run = await endedRun(service);
  assertEquals(run.status, "promoted");
  assertEquals(run.trigger, { kind: "alert", reference: alertId(1) });
  assertEquals(stepsOf(run), ["train done", "compare done", "promote done", "confirm done"]);
  assertEquals([...neighbours.mutations], [
    [`${run.id}/train`, "train"],
    [`${run.id}/compare`, "compare"],
    [`${run.id}/promote`, "champion 1 -> 2"],
  ]);
});

Deno.test("a candidate that the gate refuses stays out", async () => {
  await using service = await start();
  await using neighbours = await startNeighbours(service.bus);
  neighbours.passes = false;
  await service.call(putPipeline, pipeline());
  await publishAlert(service.bus, alertId(1));

  const run = await endedRun(service);
  assertEquals(run.status, "kept");
  assertEquals(stepsOf(run), ["train done", "compare done", "promote skipped", "confirm skipped"]);
  assertEquals([...neighbours.mutations.values()], ["train", "compare"]);
});

Deno.test("a version that serving can't take is rolled back, and the run says why", async () => {
  await using service = await start();
  await using neighbours = await startNeighbours(service.bus);
  neighbours.refusal = "the runtime refuses it";
  await service.call(putPipeline, pipeline());
  await publishAlert(service.bus, alertId(1));

  const run = await endedRun(service);
  assertEquals([run.status, stepsOf(run)[3]], ["failed", "confirm failed"]);
  assertStringIncludes(
    run.error!,
    "can't be served: the runtime refuses it; champion points to version 1 again",
  );
  assertEquals(
    neighbours.mutations.get(`${run.id}/roll back`),
    "champion back from 2: pipeline retrain: version 2 can't be served: the runtime refuses it",
  );
});

Deno.test("a training that fails ends the run with its reason", async () => {
  await using service = await start();
  await using neighbours = await startNeighbours(service.bus);
  neighbours.trains = { status: "failed", version: null, error: "only one class" };
  await service.call(putPipeline, pipeline());
  await publishAlert(service.bus, alertId(1));

  const run = await endedRun(service);
  assertEquals(run.status, "failed");
  assertStringIncludes(run.error ?? "", "only one class");
  assertEquals(stepsOf(run)[0], "train failed");
});

Deno.test("an alert within the cooldown is kept as skipped, and one that is resolved starts nothing", async () => {
  await using service = await start();
  await using _neighbours = await startNeighbours(service.bus);
  await service.call(putPipeline, pipeline());
  await publishAlert(service.bus, alertId(1));
  await publishAlert(service.bus, alertId(1), "resolved");
  await publishAlert(service.bus, alertId(2));

  await eventually(async () => {
    const { runs } = await service.call(listPipelineRuns, {});
    assertEquals(runs.map(({ status, trigger }) => `${trigger.reference} ${status}`), [
      `${alertId(2)} skipped`,
      `${alertId(1)} promoted`,
    ]);
  });
});

/** Starts the pipeline by hand and waits until it is in the step that the neighbours hold. */
async function startHeldRun(service: TestService, step: StepName): Promise<string> {
  await service.call(putPipeline, pipeline());
  const { id } = await service.call(startPipelineRun, { pipeline: "retrain" }, {
    actor: "ann",
    idempotencyKey: "k",
  });
  await eventually(async () => {
    assert(stepsOf(await service.call(getPipelineRun, { id })).includes(`${step} running`));
  });
  return id;
}

for (const step of STEP_NAMES) {
  Deno.test(`a run goes on at its step when its leader stops in "${step}" and another takes over`, async () => {
    await using bus = await startTestBus();
    await using database = await createTestDatabase("orchestration");
    await using neighbours = await startNeighbours(bus);
    neighbours.holds = step;
    let id: string;
    {
      await using first = await start({ bus, databaseUrl: database.url });
      id = await startHeldRun(first, step);
    }
    neighbours.holds = undefined;
    await using second = await start({ bus, databaseUrl: database.url });
    const run = await endedRun(second);
    assertEquals([run.id, run.status, run.error], [id, "promoted", null]);
    assertEquals([...neighbours.mutations.keys()], [`${id}/train`, `${id}/compare`, `${id}/promote`]);
  });
}

Deno.test("a copy that stands by takes over the runs of a leader that stops", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("orchestration");
  await using neighbours = await startNeighbours(bus);
  neighbours.holds = "train";
  await using first = await start({ bus, databaseUrl: database.url });
  await startHeldRun(first, "train");
  await using second = await start({ bus, databaseUrl: database.url });
  await first.stop();
  neighbours.holds = undefined;
  assertEquals((await endedRun(second)).status, "promoted");
});

Deno.test("a run goes on at its step when the database was killed and comes back", async () => {
  await using bus = await startTestBus();
  await using server = await startThrowawayPostgres({ durable: false });
  await using database = await createTestDatabase("orchestration", { server });
  await using neighbours = await startNeighbours(bus);
  neighbours.holds = "compare";
  await using service = await start({ bus, databaseUrl: database.url });
  const id = await startHeldRun(service, "compare");
  await server.kill();
  neighbours.holds = undefined;
  await server.restart();
  await eventually(async () => {
    const run = await service.call(getPipelineRun, { id });
    assertEquals([run.status, run.error], ["promoted", null]);
  });
  assertEquals([...neighbours.mutations.keys()], [`${id}/train`, `${id}/compare`, `${id}/promote`]);
});

Deno.test("startPipelineRun answers the same to the same key, and refuses a pipeline that is not declared", async () => {
  await using service = await start();
  await using _neighbours = await startNeighbours(service.bus);
  await service.call(putPipeline, pipeline());
  const ask = () =>
    service.call(startPipelineRun, { pipeline: "retrain" }, { actor: "ann", idempotencyKey: "key-1" });
  assertEquals(await ask(), await ask());
  const error = await assertRejects(() => service.call(startPipelineRun, { pipeline: "none" }), AppError);
  assertEquals(error.code, "not_found");
});

Deno.test("putPipeline refuses a schedule that is no cron expression", async () => {
  await using service = await start();
  const error = await assertRejects(
    () => service.call(putPipeline, pipeline({ on: { schedule: "every monday" } })),
    AppError,
  );
  assertEquals(error.code, "invalid");
  assertStringIncludes(error.message, "every monday");
});

crashPointSuite({
  name: "orchestration",
  input: { stream: STREAM.alerts, durable: "orchestration" },
  async setUp(bus) {
    const database = await createTestDatabase("orchestration");
    const neighbours = await startNeighbours(bus);
    return {
      database,
      neighbours,
      async [Symbol.asyncDispose]() {
        await neighbours[Symbol.asyncDispose]();
        await database[Symbol.asyncDispose]();
      },
    };
  },
  async publish(bus, { database }) {
    await using service = await start({ bus, databaseUrl: database.url });
    await service.call(putPipeline, pipeline({ on: { alerts: ["drift"] }, cooldown: "PT0S" }));
    await service.stop();
    await publishAlert(bus, alertId(1));
    await publishAlert(bus, alertId(2));
  },
  start: (bus, { database }) => start({ bus, databaseUrl: database.url }),
  async expectOnce(_bus, { database, neighbours }) {
    const runs = await database
      .db`select trigger_reference, status from pipeline_runs order by trigger_reference`;
    assertEquals(runs.map(({ trigger_reference, status }) => `${trigger_reference} ${status}`), [
      `${alertId(1)} promoted`,
      `${alertId(2)} promoted`,
    ]);
    assertEquals(neighbours.mutations.size, 6);
  },
});
