/** Looking at features from outside: consistency, statistics over time, usage, lineage. @module */
import { Counter, type Registry } from "prom-client";
import { z } from "zod";
import { watchBucket } from "shared/bus/bucket.ts";
import type { Bus } from "shared/bus/connection.ts";
import { storedDefinitionSchema } from "shared/contracts/definition.ts";
import { bind, type BoundEndpoint } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { nameSchema } from "shared/contracts/names.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import type { Database } from "shared/db/connection.ts";
import { answered, once } from "shared/db/idempotency.ts";
import { invalid } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import type { Definitions } from "./catalog.ts";
import { checkConsistency } from "./check_consistency.ts";
import { type LineageDefinitions, traceLineage, traceUsage } from "./domain/lineage.ts";
import { createPeriodicWork } from "./periodic_work.ts";
import { createReadCounter, type ReadCounter } from "./read_counter.ts";
import { listChecks, listStatistics, readReads } from "./repository/insight.ts";
import { sampleFeatures } from "./sample_features.ts";
import { samplePredictions } from "./sample_predictions.ts";

export interface InsightDeps {
  bus: Bus;
  db: Database;
  log: Logger;
  metrics: Registry;
  definitions: Definitions;
  /** Everything that lineage shows, models apart. */
  known: () => Omit<LineageDefinitions, "models">;
  /** Now by a project's clock, as far as it was applied, milliseconds since 1970. */
  now: (project: string) => Promise<number>;
  consistencyEverySeconds: number;
  statisticsEverySeconds: number;
}

export interface Insight {
  endpoints: readonly BoundEndpoint[];
  parts: readonly Part[];
  countRead: ReadCounter["count"];
}

/** What a scheduled check looks at: what one that is asked for does by default. */
const SCHEDULED = contract.checkConsistency.spec.request.parse({});

export function createInsight(deps: InsightDeps): Insight {
  const { bus, db, log, metrics, definitions, now } = deps;
  const reads = createReadCounter({ db, log });
  const models = followModels(bus, log);
  const compared = new Counter({
    name: "feature_values_compared_total",
    help: "Served values that were computed anew",
    labelNames: ["model", "outcome"],
    registers: [metrics],
  });
  const all = (): LineageDefinitions => ({ ...deps.known(), models: models.list() });

  async function check(
    { since, model, ...amounts }: typeof SCHEDULED,
    actor: string,
  ): Promise<contract.ConsistencyCheck> {
    const predictions = await samplePredictions(bus, { ...amounts, model, since });
    return await checkConsistency({ db, definitions, told }, predictions, actor);
  }

  function told(results: readonly contract.ModelConsistency[]): void {
    for (const { model, values, explained, unexplained } of results) {
      compared.inc({ model, outcome: "equal" }, values - explained - unexplained);
      compared.inc({ model, outcome: "explained" }, explained);
      compared.inc({ model, outcome: "unexplained" }, unexplained);
    }
  }

  return {
    countRead: reads.count,
    parts: [
      models.part,
      reads.part,
      createPeriodicWork({ db, log }, {
        name: "consistency check",
        everySeconds: deps.consistencyEverySeconds,
        work: () => check(SCHEDULED, "schedule"),
      }),
      createPeriodicWork({ db, log }, {
        name: "statistics of features",
        everySeconds: deps.statisticsEverySeconds,
        work: () => sampleFeatures({ db, definitions, now }),
      }),
    ],
    endpoints: [
      bind(contract.checkConsistency, async (request, context) => {
        const call = { endpoint: contract.checkConsistency.subject, request };
        const earlier = await answered<contract.ConsistencyCheck>(db, context, call);
        if (earlier !== undefined) return earlier;
        const result = await check(request, context.actor);
        return await once(db, context, call, () => Promise.resolve(result));
      }),
      bind(contract.listConsistencyChecks, async ({ limit }) => ({ checks: await listChecks(db, limit) })),
      bind(contract.featureStatistics, async (query) => ({ statistics: await listStatistics(db, query) })),
      bind(contract.usage, async () => ({ features: traceUsage(all()), reads: await readReads(db) })),
      bind(contract.lineage, ({ kind, name }) => {
        if ((kind === undefined) !== (name === undefined)) {
          throw invalid(
            "Cannot trace the lineage: kind and name name one node together, and one of them is missing",
          );
        }
        const node = kind === undefined || name === undefined ? undefined : { kind, name };
        return Promise.resolve(traceLineage(all(), node));
      }),
    ],
  };
}

const modelSchema = storedDefinitionSchema(z.object({ featureService: nameSchema }));

/** The models of model-training, by its definitions in the bucket. */
function followModels(bus: Bus, log: Logger) {
  const models = new Map<string, LineageDefinitions["models"][number]>();
  return {
    list: () => [...models.values()].sort((a, b) => a.name < b.name ? -1 : 1),
    part: watchBucket(bus, {
      bucket: BUCKET.definitions,
      filter: "model-training.model.>",
      schema: modelSchema,
      log,
      onEntry(key, model) {
        if (model === undefined) models.delete(key);
        else {
          const { name, version, body } = model;
          models.set(key, { name, version, featureService: body.featureService });
        }
      },
    }),
  };
}
