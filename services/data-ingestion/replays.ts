/** The use cases of replays: asking for one, looking at them, ending one. @module */
import { v7 as uuidv7 } from "uuid";
import type { CallContext, RequestOf } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/replay.ts";
import type { Bus } from "shared/bus/connection.ts";
import type { Database } from "shared/db/connection.ts";
import { once } from "shared/db/idempotency.ts";
import { conflict, invalid, notFound } from "shared/errors.ts";
import { compileFilter } from "./domain/replay_filter.ts";
import { refuseWithoutConsumer } from "./replay_consumers.ts";
import { cancelReplay, findReplay, insertReplay, listReplays } from "./repository/replays.ts";

export interface ReplaysDeps {
  db: Database;
  bus: Bus;
  /** The project of a source; `undefined` when there is no such source. */
  projectOf(source: string): Promise<string | undefined>;
  /** Tells whoever runs replays that one waits, or that one is to end. */
  worker: { poke(): void; end(run: string): void };
}

export interface Replays {
  start(request: RequestOf<typeof contract.startReplay>, context: CallContext): Promise<contract.Replay>;
  list(request: RequestOf<typeof contract.listReplays>): Promise<contract.Replay[]>;
  find(run: string): Promise<contract.Replay>;
  cancel(run: string, context: CallContext): Promise<contract.Replay>;
}

export function createReplays(deps: ReplaysDeps): Replays {
  const { db, bus, projectOf, worker } = deps;
  return {
    async start(request, context) {
      const { source, from = null, until = null, where = null, to, rate = null, pace = null } = request;
      if (from !== null && until !== null && from >= until) {
        throw invalid(
          `Cannot replay "${source}": from must be before until, but is ${from}, not before ${until}`,
        );
      }
      if (where !== null) compileFilter(where);
      const project = await projectOf(source);
      if (project === undefined) throw notFound(`Cannot replay "${source}": it is not defined`);
      const run = request.run ?? `r-${uuidv7()}`;
      if (to === "consumer") await refuseWithoutConsumer(bus, { run, source });

      const call = { endpoint: contract.startReplay.subject, request };
      const started = await once(db, context, call, async (tx) => {
        const { actor } = context;
        const replay = await insertReplay(
          tx,
          { run, source, project, from, until, where, to, rate, pace, actor },
        );
        if (replay === undefined) {
          throw conflict(
            `Cannot start the replay "${run}": there is one of this name, and a name is taken once`,
          );
        }
        return replay;
      });
      worker.poke();
      return started;
    },
    list: (request) => listReplays(db, request),
    find: async (run) => await findReplay(db, run) ?? thereIsNone("show", run),
    async cancel(run, context) {
      const call = { endpoint: contract.cancelReplay.subject, request: { run } };
      const replay = await once(
        db,
        context,
        call,
        async (tx) => await cancelReplay(tx, run) ?? thereIsNone("cancel", run),
      );
      worker.end(run);
      return replay;
    },
  };
}

function thereIsNone(action: string, run: string): never {
  throw notFound(`Cannot ${action} the replay "${run}": there is none of this name`);
}
