import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parse } from "yaml";
import { SERVICES } from "../scripts/services.ts";

const root = new URL("..", import.meta.url);
const readYaml = (path: string) => parse(Deno.readTextFileSync(new URL(path, root)), { merge: true });

interface ComposeService {
  image?: string;
  build?: { context: string; dockerfile: string; args: Record<string, string> };
  environment?: Record<string, string | number>;
  ports?: string[];
  depends_on?: Record<string, unknown>;
  healthcheck?: { test: string[] };
}

const compose: { services: Record<string, ComposeService>; volumes: Record<string, null> } = readYaml(
  "docker-compose.yml",
);

Deno.test("docker-compose.yml runs every service of the table, on its port, with the bus", () => {
  for (const { name, httpPort, database } of SERVICES) {
    const service = compose.services[name];
    assert(service, `${name} is missing`);
    assertEquals(service.build, {
      context: ".",
      dockerfile: `services/${name}/Dockerfile`,
      args: { GIT_REVISION: "${GIT_REVISION:-}" },
    });
    assertEquals(service.ports, [`127.0.0.1:${httpPort}:${httpPort}`]);
    assertEquals(service.environment?.["HTTP_PORT"], httpPort);
    assertEquals(service.environment?.["NATS_URL"], "nats://nats:4222");
    // Not for each other: they start in any order.
    const awaited = database === null ? ["nats"] : ["nats", `${database.name}-db`];
    assertEquals(Object.keys(service.depends_on ?? {}), awaited, name);
  }
});

Deno.test("docker-compose.yml asks every container how it is, and a service whether it can do its work", async () => {
  for (const [name, { healthcheck }] of Object.entries(compose.services)) {
    assert(healthcheck, `${name} has no health check`);
  }
  const commands = new Set(
    SERVICES.map(({ name }) => JSON.stringify(compose.services[name]!.healthcheck!.test)),
  );
  assertEquals(commands.size, 1, "all services are asked alike");
  const [kind, deno, ...args] = JSON.parse([...commands][0]!);
  assertEquals([kind, deno], ["CMD", "deno"]);
  let status = 503;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    return new Response(`asked ${new URL(request.url).pathname}`, { status });
  });
  const check = async (port = server.addr.port) => {
    // As in the container: there the repository is the working directory, and the port a setting of the service.
    const command = new Deno.Command(Deno.execPath(), { args, cwd: root, env: { HTTP_PORT: String(port) } });
    const { code, stdout, stderr } = await command.output();
    return { code, says: new TextDecoder().decode(stdout), fails: new TextDecoder().decode(stderr) };
  };
  assertEquals(await check(), { code: 1, says: "asked /readyz", fails: "" });
  status = 200;
  assertEquals(await check(), { code: 0, says: "asked /readyz", fails: "" });
  const { port } = server.addr;
  await server.shutdown();
  const { code, fails } = await check(port);
  assertEquals(code, 1);
  assertStringIncludes(fails, "Connection refused");
});

Deno.test("docker-compose.yml gives every service a PostgreSQL of its own on its declared port", () => {
  for (const { name, database } of SERVICES) {
    const url = compose.services[name]?.environment?.["DATABASE_URL"];
    if (database === null) {
      assertEquals(url, undefined);
      continue;
    }
    const server = `${database.name}-db`;
    assertEquals(url, `postgres://${database.name}:${database.name}@${server}:5432/${database.name}`);
    assertEquals(compose.services[server]?.ports, [`127.0.0.1:${database.composePort}:5432`]);
    assertEquals(compose.services[server]?.environment, {
      POSTGRES_USER: database.name,
      POSTGRES_PASSWORD: database.name,
      POSTGRES_DB: database.name,
    });
    assert(server in compose.volumes, `${server} has no volume`);
  }
});

Deno.test("docker-compose.yml holds nothing that the table of services does not know", () => {
  const known = SERVICES.flatMap(({ name, database }) => database ? [name, `${database.name}-db`] : [name]);
  assertEquals(new Set(Object.keys(compose.services)), new Set([...known, "nats", "prometheus"]));
});

Deno.test("docker-compose.yml publishes ports on loopback only", () => {
  for (const [name, { ports = [] }] of Object.entries(compose.services)) {
    for (const port of ports) assert(port.startsWith("127.0.0.1:"), `${name} publishes ${port}`);
  }
});

Deno.test("deploy/prometheus.yml scrapes every service", () => {
  const [job] = readYaml("deploy/prometheus.yml").scrape_configs;
  const expected = SERVICES.map(({ name, httpPort }) => `${name}:${httpPort}`);
  assertEquals(new Set(job.static_configs[0].targets), new Set(expected));
});

Deno.test("every service has the same Dockerfile, but for its name, its port and its migrations", () => {
  for (const { name, httpPort, database } of SERVICES) {
    const migrate = database === null ? "" : `deno task migrate ${name} && `;
    assertEquals(
      Deno.readTextFileSync(new URL(`services/${name}/Dockerfile`, root)),
      `# Built from the root of the repository: docker build --file services/${name}/Dockerfile .
FROM denoland/deno:2.9.6
WORKDIR /app
COPY . .
RUN deno install --frozen && chown -R deno:deno /app "$DENO_DIR"
# After what takes long: it differs in every build.
ARG GIT_REVISION=""
ENV GIT_REVISION=$GIT_REVISION
LABEL org.opencontainers.image.revision=$GIT_REVISION
USER deno
EXPOSE ${httpPort}
CMD ["sh", "-c", "${migrate}exec deno task --cwd services/${name} start"]
`,
    );
  }
});
