import { assert, assertEquals, assertMatch } from "@std/assert";
import { databaseRow, databaseUrl, SERVICES_WITH_DATABASE } from "../scripts/databases.ts";
import { SERVICES } from "../scripts/services.ts";
import { type ServiceProcess, spawnService } from "../scripts/service_process.ts";
import { migrate } from "shared/db/migrate.ts";
import { freePort } from "shared/infra/ports.ts";
import { startInfra } from "shared/infra/stack_infra.ts";
import { makeTestFolder } from "shared/infra/test_folder.ts";
import { eventually } from "shared/testing/poll.ts";

interface Readiness {
  ready: boolean;
  checks: Record<string, { ok: boolean; reason?: string }>;
}

/** A service that was started by itself, before anything it needs. */
interface EarlyService extends AsyncDisposable {
  name: string;
  process: ServiceProcess;
  readiness(): Promise<Readiness>;
  isAlive(): Promise<boolean>;
  log(): Promise<{ message: string; "log.level": string }[]>;
}

async function startEarly(
  name: string,
  { folder, natsUrl, postgres }: {
    folder: string;
    natsUrl: string;
    postgres: { socketFolder: string; port: number };
  },
): Promise<EarlyService> {
  const row = SERVICES.find((row) => row.name === name)!;
  const withDatabase = SERVICES_WITH_DATABASE.find((row) => row.name === name);
  const port = freePort();
  const logFile = `${folder}/${name}.log`;
  const process = await spawnService(row, {
    env: {
      NATS_URL: natsUrl,
      HTTP_PORT: String(port),
      ...(withDatabase === undefined ? {} : { DATABASE_URL: databaseUrl(withDatabase, postgres) }),
    },
    logFile,
  });
  const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  return {
    name,
    process,
    async readiness() {
      return await (await ask("/readyz")).json();
    },
    async isAlive() {
      const response = await ask("/healthz");
      await response.body?.cancel();
      return response.ok;
    },
    async log() {
      const lines = (await Deno.readTextFile(logFile)).trimEnd().split("\n");
      return lines.map((line) => JSON.parse(line));
    },
    async [Symbol.asyncDispose]() {
      process.kill("SIGTERM");
      await process.ended;
    },
  };
}

const reasonOf = async (service: EarlyService): Promise<string> =>
  (await service.readiness()).checks["start"]?.reason ?? "";

Deno.test("services that start before NATS, PostgreSQL and the migrations wait, say so, and get ready", async () => {
  await using folder = await makeTestFolder();
  const natsPort = freePort();
  const postgresPort = freePort();
  // Where startInfra puts the socket in a folder that every account can enter.
  const postgres = { socketFolder: `${folder.path}/.microml/postgres`, port: postgresPort };
  const natsUrl = `nats://127.0.0.1:${natsPort}`;
  await using started = new AsyncDisposableStack();
  const services: EarlyService[] = [];
  for (const name of ["data-ingestion", "model-serving", "console"]) {
    services.push(started.use(await startEarly(name, { folder: folder.path, natsUrl, postgres })));
  }

  for (const service of services) {
    await eventually(async () => {
      assertEquals(await service.isAlive(), true);
      assertEquals(await reasonOf(service), `waiting for NATS at ${natsUrl}`);
      const said = (await service.log()).filter(({ message }) => message === "Waiting for NATS");
      assertEquals(said.map((entry) => entry["log.level"]), ["warn"], service.name);
    });
  }

  const rows = SERVICES_WITH_DATABASE.filter(({ name }) => services.some((service) => service.name === name));
  started.use(
    await startInfra({
      root: folder.path,
      databases: rows.map(databaseRow),
      natsPort,
      natsMonitorPort: freePort(),
      postgresPort,
      postgres: { durable: false },
    }),
  );
  await eventually(async () => {
    for (const service of services) {
      const { ready, checks } = await service.readiness();
      if (service.name === "console") assertEquals(ready, true, JSON.stringify(checks));
      else assertMatch(checks["start"]?.reason ?? "", /^waiting for the migrations: /);
    }
  });

  for (const row of rows) await migrate({ url: databaseUrl(row, postgres), service: row.name });
  await eventually(async () => {
    for (const service of services) {
      const { ready, checks } = await service.readiness();
      assertEquals(ready, true, `${service.name}: ${JSON.stringify(checks)}`);
    }
  });
  for (const { process, name } of services) assert(process.isAlive(), `${name} ended meanwhile`);
});
