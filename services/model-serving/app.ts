/** Wires the rooms of model-serving; also the door that its tests use. @module */
import type { z } from "zod";
import { readBucket, watchBucket } from "shared/bus/bucket.ts";
import { call } from "shared/bus/endpoints.ts";
import { storedDefinitionSchema } from "shared/contracts/definition.ts";
import { entityBodySchema, online } from "shared/contracts/feature_store.ts";
import * as contract from "shared/contracts/model_serving.ts";
import { aliasEntrySchema } from "shared/contracts/model_training.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import { createOutbox } from "shared/db/outbox.ts";
import { createDefinitions } from "shared/definitions/definitions.ts";
import { messageOf, unavailable } from "shared/errors.ts";
import { MAX_MODEL_BYTES } from "shared/onnx/admission.ts";
import { createRuntimeCode } from "shared/onnx/runtime_code.ts";
import type { ServiceApp, ServiceDeps } from "shared/service.ts";
import { storableText } from "shared/storable_text.ts";
import type { configSchema } from "./config.ts";
import { createDeploymentCheck } from "./check_deployment.ts";
import { createEndpoints } from "./endpoints.ts";
import { createExplain } from "./explain/explain.ts";
import { createLookups } from "./features/lookups.ts";
import { createReadFeatures } from "./features/read_features.ts";
import { addOpenInferenceRoutes } from "./http/open_inference.ts";
import { BODY_LIMITS, createPredictLines } from "./http/predict_lines.ts";
import { createLiveModels } from "./live_models.ts";
import { describeModels } from "./describe_models.ts";
import { createPredict } from "./predict.ts";
import { createLineAnswers } from "./predict_lines.ts";
import { measureLog } from "./prediction_log/metrics.ts";
import { createPredictMetrics } from "./predict_metrics.ts";
import { createPredictionLog } from "./prediction_log/prediction_log.ts";
import { recordAdmission } from "./repository.ts";
import { createRetention } from "./retention.ts";
import { measureArms } from "./routing/metrics.ts";
import { aliasesOf, createRouters } from "./routing/routers.ts";
import { createShadows } from "./routing/shadows.ts";
import { admitVersion } from "./runtime/admission.ts";
import { createVersionReader } from "./runtime/version_reader.ts";
import { createWasmRuntime } from "./runtime/wasm_runtime.ts";
import { createScore } from "./score.ts";

/** Rows of a run, and rows that wait for one. */
const BATCH_LIMITS = { maxRows: 1_024, maxWaitingRows: 16_384 };

/** In a trial a version has to be quick: it will get all the time there is often enough. */
const TRIAL_LIMITS = { runMs: 2_000, patienceMs: 60_000, loadMs: 10_000, idleMs: 2_000 };

export function createApp(deps: ServiceDeps<z.infer<typeof configSchema>>): ServiceApp {
  const { bus, db, log, config, metrics } = deps;
  const outbox = createOutbox(db, bus, log);
  const definitions = createDefinitions({ db, bus, log, outbox }, {
    service: "model-serving",
    kinds: [{
      kind: "deployment",
      body: contract.deploymentBodySchema,
      put: contract.putDeployment,
      remove: contract.removeDeployment,
      prove: (name: string, body: contract.DeploymentBody) => checkDeployment(name, body),
    }],
    list: contract.definitions,
  });

  const code = createRuntimeCode();
  const wasm = createWasmRuntime({ log, code });
  const trial = createWasmRuntime({ log, code, limits: TRIAL_LIMITS });
  const reader = createVersionReader();
  // What is larger would be refused, and is not even fetched.
  const readFile = (sha256: string) => bus.files.get(sha256, { maxBytes: MAX_MODEL_BYTES });
  const predictMetrics = createPredictMetrics(metrics);
  /** By model; made anew when they change, because every call looks here. */
  let deployments = new Map<string, contract.DeploymentBody>();
  let projects = new Map<string, string>();
  /** Those that the deployments need. */
  let wanted = new Map<string, readonly string[]>();
  const models = createLiveModels({
    log,
    aliases: () => wanted,
    async admit(entry) {
      // Not waited for: a version is served also while the database is away.
      const outcome = (reason: string | null) =>
        void recordAdmission(db, entry, { instance: config.INSTANCE, reason }).catch((error) =>
          log.warn(`Cannot keep the admission of ${entry.model} v${entry.version}: ${messageOf(error)}`)
        );
      try {
        const served = await admitVersion(entry, await readFile(entry.sha256), {
          read: reader.read,
          wasm,
          trial,
          batches: BATCH_LIMITS,
          onRun: (run) => predictMetrics.ran(entry, run),
        });
        outcome(null);
        return served;
      } catch (error) {
        // A file may be made up, and what it says of itself hold what can't be stored.
        outcome(storableText(messageOf(error)));
        throw error;
      }
    },
  });
  const checkDeployment = createDeploymentCheck({
    models,
    async signatureOf(model, alias) {
      return (await readBucket(bus, BUCKET.aliases, `${model}.${alias}`, aliasEntrySchema))?.signature;
    },
    async entityKeys(entity) {
      const key = `feature-store.entity.${entity}`;
      const stored = await readBucket(bus, BUCKET.definitions, key, storedDefinitionSchema(entityBodySchema));
      return stored && Object.keys(stored.body.keys);
    },
  });
  definitions.onChange(() => {
    const inForce = definitions.list("deployment");
    deployments = new Map(inForce.map(({ name, body }) => [name, body]));
    projects = new Map(inForce.map(({ name, project }) => [name, project]));
    wanted = new Map([...deployments].map(([model, body]) => [model, aliasesOf(body)]));
    models.aliasesChanged();
  });
  const aliases = watchBucket(bus, {
    bucket: BUCKET.aliases,
    filter: ">",
    schema: aliasEntrySchema,
    onEntry: models.aliasChanged,
    log,
  });
  const predictionLog = createPredictionLog(bus, {
    instance: config.INSTANCE,
    log,
    policyOf: (model) => deployments.get(model)?.log,
  });
  /** Every outcome comes by here. */
  const append: typeof predictionLog.append = (call) => {
    predictMetrics.logged(call);
    predictionLog.append(call);
  };
  const routers = createRouters({
    deployments: () => deployments,
    hasVersion: models.standsIn,
    onBreaker: (model, arm, state) =>
      log.warn({ model, arm, state }, "The circuit breaker of an arm changed"),
  });
  measureLog(metrics, predictionLog);
  measureArms(metrics, routers);
  const lookUp = createLookups((request, options) => call(bus, online, request, options));
  const score = createScore(createReadFeatures({ lookUp }));
  const shadows = createShadows({
    models,
    deployments: () => deployments,
    score,
    append,
    metrics,
  });
  const explaining = createExplain(readFile);
  const predict = createPredict({
    models,
    deployments: () => deployments,
    projectOf: (model) => projects.get(model) ?? null,
    routers,
    score,
    explain: explaining.explain,
    log: { append, checkRoom: predictionLog.checkRoom },
    unattributed: predictMetrics.unattributed,
    answered(call, prediction, context) {
      predictMetrics.answered(prediction);
      shadows.answered(call, prediction, context);
    },
  });

  return {
    endpoints: [
      ...definitions.endpoints,
      ...createEndpoints({ models, predict, routers, deployments: () => deployments }),
    ],
    otherBodies: [
      createPredictLines({ answerGroup: createLineAnswers(predict), refused: predict.refused }),
    ],
    bodyLimits: BODY_LIMITS,
    describe: (document) =>
      describeModels(document, models.list().flatMap(({ model }) => models.versions(model).slice(0, 1)), {
        policyOf: (model) => deployments.get(model)!.input,
      }),
    routes: (app) => addOpenInferenceRoutes(app, { models, routers, predict, log }),
    parts: [
      definitions.part,
      outbox,
      createRetention({ db, log }),
      predictionLog,
      wasm,
      trial,
      explaining,
      models,
      // Stopped before them, who wait for what they load.
      reader,
      shadows,
      aliases,
    ],
    ready: {
      // What is loaded answers, whatever else is away.
      bus: () => Promise.resolve(),
      database: () => Promise.resolve(),
      models: () => Promise.resolve(models.checkReady()),
    },
    // One model that can't be served keeps no other from its callers.
    opens: {
      models: () =>
        models.isSettled() ? Promise.resolve() : Promise.reject(unavailable("Models are being loaded")),
    },
    stats: () => {
      const { made, waiting, dropped } = predictionLog.counts();
      const versions = models.list().map(({ model, version }) => [model, version]);
      return Promise.resolve({
        handled: made,
        waiting,
        dropped,
        versions: Object.fromEntries(versions),
      });
    },
  };
}
