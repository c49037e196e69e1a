/** A platform to be measured: on free ports, in a folder of its own, gone with the benchmark. @module */
import { type Bus, connectBus } from "shared/bus/connection.ts";
import { connectDatabase, type Database } from "shared/db/connection.ts";
import { makeTestFolder } from "shared/infra/test_folder.ts";
import { silentLogger } from "shared/log.ts";
import { type Stack, startStack } from "../scripts/stack.ts";

export interface BenchStack extends AsyncDisposable {
  readonly stack: Stack;
  readonly bus: Bus;
  /** Everything the stack keeps is in here. */
  readonly folder: string;
  /** A connection to the database of a service. */
  database(service: string): Database;
  /** What the figures were taken with. */
  describe(): Promise<string[]>;
}

export interface BenchStackOptions {
  say: (line: string) => void;
  /** Whether heaps are kept small, as `deno task up` has them. Default: as in containers, by the service's `start` task. */
  smallHeap?: boolean;
  /** Copies of services that may have several. Default: one of each. */
  copies?: Readonly<Record<string, number>>;
}

export async function startBenchStack(
  services: readonly string[],
  { say, smallHeap = false, copies = {} }: BenchStackOptions,
): Promise<BenchStack> {
  await using started = new AsyncDisposableStack();
  say(`starting NATS, PostgreSQL, ${services.join(", ")}`);
  const folder = started.use(await makeTestFolder());
  const stack = started.use(
    await startStack({ root: folder.path, ports: "free", services, smallHeap, copies }),
  );
  const bus = started.use(await connectBus({ url: stack.natsUrl, name: "bench", log: silentLogger }));
  const databases = new Map<string, Database>();
  const database = (service: string): Database => {
    const db = databases.get(service) ??
      connectDatabase({ url: stack.databaseUrl(service), log: silentLogger, max: 2 });
    databases.set(service, db);
    return db;
  };
  started.defer(async () => {
    await Promise.all([...databases.values()].map((db) => db.end()));
  });
  const all = started.move();
  return {
    stack,
    bus,
    folder: folder.path,
    database,
    async describe() {
      const [row] = await database(services[0]!)<{ version: string; fsync: string; commit: string }[]>`
        select current_setting('server_version') as version, current_setting('fsync') as fsync,
          current_setting('synchronous_commit') as commit`;
      return [
        `PostgreSQL ${row!.version}, fsync ${row!.fsync}, synchronous_commit ${row!.commit}`,
        `nats-server ${bus.nc.info?.version}, streams on files, synced in intervals`,
        `services as processes of their own with the settings of ${
          smallHeap ? "deno task up" : "their containers"
        }, all on one machine`,
      ];
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
