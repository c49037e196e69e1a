import { assertEquals } from "@std/assert";
import { permissionsOf, ROOT } from "./permissions.ts";
import { type ServiceRow, SERVICES } from "./services.ts";

const alert = SERVICES.find(({ name }) => name === "alert")!;
const NATS_URL = "nats://127.0.0.1:4222";

const listOf = (permissions: readonly string[], kind: string) =>
  permissions.find((permission) => permission.startsWith(`--allow-${kind}`))?.split("=")[1]?.split(",");

Deno.test("permissionsOf() grants the bus, the socket of the database and the own port, no more", async () => {
  const permissions = await permissionsOf(alert, {
    NATS_URL: "nats://a:4222,nats://b",
    DATABASE_URL: "postgres://alerts:alerts@/alerts?host=/tmp/pg&port=5542",
    HTTP_PORT: "9000",
  });
  const socket = "/tmp/pg/.s.PGSQL.5542";
  assertEquals(listOf(permissions, "net"), ["127.0.0.1:9000", "a:4222", "b:4222", `unix:${socket}`]);
  assertEquals(listOf(permissions, "write"), [socket]);
  assertEquals(listOf(permissions, "sys"), ["hostname"]);
  assertEquals(listOf(permissions, "read")?.includes(`${ROOT}/services/alert`), true);
  assertEquals(permissions.map((permission) => permission.split("=")[0]).toSorted(), [
    "--allow-env",
    "--allow-net",
    "--allow-read",
    "--allow-sys",
    "--allow-write",
  ]);
});

Deno.test("permissionsOf() grants a database over TCP by its address", async () => {
  const permissions = await permissionsOf(alert, {
    NATS_URL,
    DATABASE_URL: "postgres://alerts:alerts@db:5439/alerts",
  });
  assertEquals(listOf(permissions, "net"), ["127.0.0.1:4222", "127.0.0.1:8006", "db:5439"]);
  assertEquals(listOf(permissions, "write"), undefined);
});

Deno.test("permissionsOf() grants the variables of the service's own settings", async () => {
  const env = listOf(await permissionsOf(alert, { NATS_URL }), "env")!;
  for (const name of ["NATS_URL", "DATABASE_URL", "HTTP_PORT", "STOP_WITH_STDIN"]) {
    assertEquals(env.includes(name), true, name);
  }
  assertEquals(env.includes("HOME"), false);
});

Deno.test("permissionsOf() adds what the row of the service asks for", async () => {
  const row: ServiceRow = { ...alert, permissions: ["net=services", "read=examples", "sys=cpus", "env"] };
  const permissions = await permissionsOf(row, { NATS_URL }, { ports: new Map([["console", 9999]]) });
  const net = listOf(permissions, "net")!;
  assertEquals(net.includes("127.0.0.1:8001") && net.includes("127.0.0.1:9999"), true);
  assertEquals(listOf(permissions, "read")?.includes(`${ROOT}/examples`), true);
  assertEquals(listOf(permissions, "sys"), ["cpus", "hostname"]);
  assertEquals(permissions.includes("--allow-env"), true);
});
