/** Wires the rooms of model-training; also the door that its tests use. @module */
import type { z } from "zod";
import * as contract from "shared/contracts/model_training.ts";
import { once } from "shared/db/idempotency.ts";
import { createOutbox } from "shared/db/outbox.ts";
import type { ServiceApp, ServiceDeps } from "shared/service.ts";
import { createAliasKeeper, ensureFile } from "./alias_keeper.ts";
import { createCompareVersions } from "./compare_versions.ts";
import type { configSchema } from "./config.ts";
import { createModelDefinitions } from "./definitions.ts";
import { createEndpoints, type EndpointDeps } from "./endpoints.ts";
import { setAlias } from "./registry.ts";
import { findVersion, listMoves, listVersions } from "./repository/registry.ts";
import { countRuns, findRun, listRuns } from "./repository/runs.ts";
import { createRunQueue } from "./run_queue.ts";
import { startRun } from "./start_run.ts";

export function createApp(deps: ServiceDeps<z.infer<typeof configSchema>>): ServiceApp {
  const { bus, config, db, log, metrics } = deps;
  const outbox = createOutbox(db, bus, log);
  const definitions = createModelDefinitions({ db, bus, log, outbox });
  const queue = createRunQueue({ db, bus, log, metrics, poke: outbox.poke }, {
    atOnce: config.RUNS_AT_ONCE,
    leaseSeconds: config.RUN_LEASE_SECONDS,
    limitSeconds: config.RUN_LIMIT_SECONDS,
  });

  const pointAlias: EndpointDeps["setAlias"] = async (request, context) => {
    const version = await findVersion(db, request.model, request.version);
    // Before it is announced: a file that NATS lost must be there when serving looks for it.
    if (version !== undefined) await ensureFile({ db, bus, log }, version.sha256);
    const call = { endpoint: contract.setAlias.subject, request };
    const reply = await once(db, context, call, (tx) => setAlias(tx, { ...request, actor: context.actor }));
    outbox.poke();
    return reply;
  };

  return {
    endpoints: [
      ...definitions.endpoints,
      ...createEndpoints({
        startRun: (request, context) =>
          startRun({ db, definitions, pokeQueue: queue.poke }, request, context),
        compareVersions: createCompareVersions({ db, bus, definitions }),
        setAlias: pointAlias,
        findRun: (id) => findRun(db, id),
        listRuns: (options) => listRuns(db, options),
        listVersions: (options) => listVersions(db, options),
        listMoves: (options) => listMoves(db, options),
      }),
    ],
    parts: [definitions.part, outbox, createAliasKeeper({ db, bus, log, poke: outbox.poke }), queue],
    stats: async () => ({ ...await countRuns(db) }),
  };
}
