/** Wires the rooms of model-serving; also the door that its tests use. @module */
import type { z } from "zod";
import { watchBucket } from "shared/bus/bucket.ts";
import { call } from "shared/bus/endpoints.ts";
import { online } from "shared/contracts/feature_store.ts";
import * as contract from "shared/contracts/model_serving.ts";
import { aliasEntrySchema } from "shared/contracts/model_training.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import { createOutbox } from "shared/db/outbox.ts";
import { createDefinitions } from "shared/definitions/definitions.ts";
import { messageOf } from "shared/errors.ts";
import type { ServiceApp, ServiceDeps } from "shared/service.ts";
import type { configSchema } from "./config.ts";
import { createEndpoints } from "./endpoints.ts";
import { createLiveModels } from "./live_models.ts";
import { createPredict } from "./predict.ts";
import { createPredictionLog } from "./prediction_log.ts";
import { recordAdmission } from "./repository.ts";
import { admitVersion } from "./runtime.ts";

export function createApp(deps: ServiceDeps<z.infer<typeof configSchema>>): ServiceApp {
  const { bus, db, log, config } = deps;
  const outbox = createOutbox(db, bus, log);
  const definitions = createDefinitions({ db, bus, log, outbox }, {
    service: "model-serving",
    kinds: [{
      kind: "deployment",
      body: contract.deploymentBodySchema,
      put: contract.putDeployment,
      remove: contract.removeDeployment,
    }],
    list: contract.definitions,
  });

  const models = createLiveModels({
    log,
    deployments: () => new Map(definitions.list("deployment").map(({ name, body }) => [name, body])),
    async admit(entry) {
      const outcome = (reason: string | null) =>
        recordAdmission(db, entry, { instance: config.INSTANCE, reason }).catch((error) =>
          log.warn(`Cannot keep the admission of ${entry.model} v${entry.version}: ${messageOf(error)}`)
        );
      try {
        const served = await admitVersion(entry, await bus.files.get(entry.sha256));
        await outcome(null);
        return served;
      } catch (error) {
        await outcome(messageOf(error));
        throw error;
      }
    },
  });
  definitions.onChange(() => models.deploymentsChanged());
  const aliases = watchBucket(bus, {
    bucket: BUCKET.aliases,
    filter: ">",
    schema: aliasEntrySchema,
    onEntry: models.aliasChanged,
    log,
  });
  const predictionLog = createPredictionLog(bus, { instance: config.INSTANCE, log });
  const predict = createPredict({
    models,
    readFeatures: (request, options) => call(bus, online, request, options),
    appendToLog: predictionLog.append,
  });

  return {
    endpoints: [...definitions.endpoints, ...createEndpoints({ models, predict })],
    parts: [definitions.part, outbox, predictionLog, models, aliases],
    ready: {
      // What is loaded answers, whatever else is away.
      bus: () => Promise.resolve(),
      database: () => Promise.resolve(),
      models: () => Promise.resolve(models.checkReady()),
    },
    stats: () => {
      const { appended, waiting, dropped } = predictionLog.counts();
      const versions = models.list().map(({ model, version }) => [model, version]);
      return Promise.resolve({
        handled: appended,
        waiting,
        dropped,
        versions: Object.fromEntries(versions),
      });
    },
  };
}
