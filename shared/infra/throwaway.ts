/**
 * Servers for tests: real ones, on free ports, with their data in a temporary folder that goes with them.
 * They end when they are stopped, and also when the test process ends without stopping them.
 *
 * Needs what nats_server.ts, postgres_server.ts, nats_process.ts and postgres_process.ts need; `-A` in short.
 *
 * @module
 */

import { join } from "node:path";
import { makeOwnFolder, serverAccount, temporaryBase } from "./account.ts";
import { readIfThere } from "./folders.ts";
import { type NatsServer, startNats } from "./nats_process.ts";
import { findNatsServer } from "./nats_server.ts";
import { attachPostgres, type PostgresServer, startPostgres } from "./postgres_process.ts";
import { findPostgres } from "./postgres_server.ts";
import { processBirth } from "./process_identity.ts";
import type { Superuser } from "./postgres_data.ts";

/**
 * Starts a NATS server with JetStream for one test.
 *
 * ```ts
 * await using nats = await startThrowawayNats();
 * const connection = await connect({ servers: nats.url });
 * ```
 */
export async function startThrowawayNats(): Promise<NatsServer> {
  const binary = await findNatsServer();
  const home = await Deno.makeTempDir({ prefix: "microml-nats-" });
  return await startNats({ binary, home, removeHome: true });
}

export interface ThrowawayPostgresOptions {
  /** Whether commits are synced to the disk. Default: true; false is several times faster. */
  durable?: boolean;
}

/** Starts a PostgreSQL server for one test, or for tests that stop and start it. */
export async function startThrowawayPostgres(
  options: ThrowawayPostgresOptions = {},
): Promise<PostgresServer> {
  const account = await serverAccount();
  const home = await Deno.makeTempDir({ dir: await temporaryBase(account), prefix: "microml-pg-" });
  return await startPostgres({ ...await throwawayOptions(home), ...options });
}

/** What the first test file leaves for the others. */
interface SharedServer {
  pid: number;
  port: number;
  superuser: Superuser;
}

/**
 * The PostgreSQL server (without syncing to the disk) that all test files of one `deno test` process share:
 * started by the first that asks, ended with the process. Nobody stops it: callers make databases of their own
 * in it.
 *
 * Deno gives each test file its own isolate, so the files find the server through a folder named after the
 * process.
 */
export async function sharedThrowawayPostgres(): Promise<PostgresServer> {
  const account = await serverAccount();
  const base = await temporaryBase(account);
  const home = join(base, `microml-pg-${Deno.pid}-${processBirth(Deno.pid)}`);
  await makeOwnFolder(home, account);
  // Of several files that ask at once (`deno test --parallel`), one starts the server.
  using lock = await Deno.open(join(home, "lock"), { create: true, write: true });
  await lock.lock(true);
  const stateFile = join(home, "shared.json");
  const state = await readIfThere(stateFile);
  const options = await throwawayOptions(home);
  if (state !== undefined) {
    const { pid, port, superuser }: SharedServer = JSON.parse(state);
    const server = attachPostgres({ ...options, port }, { pid, superuser });
    if (server.isAlive()) return server;
    throw new Error(`Cannot use the shared PostgreSQL server: it ended; its log is ${server.logFile}`);
  }
  const server = await startPostgres({ ...options, durable: false });
  const shared: SharedServer = { pid: server.pid, port: server.port, superuser: server.superuser };
  await Deno.writeTextFile(stateFile, JSON.stringify(shared), { mode: 0o600 });
  return server;
}

/** The folder that PostgreSQL's initialised data are copied from, shared by all tests of this repository. */
export const TEST_TEMPLATES: string = join(import.meta.dirname ?? "", "..", "..", ".microml", "templates");

async function throwawayOptions(home: string) {
  return {
    binFolder: await findPostgres(),
    home,
    templates: TEST_TEMPLATES,
    removeHome: true,
    maxConnections: 200,
  };
}
