/**
 * What the process of a service may do: its own port, the bus, its database, its folder, packages and migrations, the
 * variables of its own settings. Found by trying with the real libraries; what a service needs beyond that stands in
 * its row of the table of services.
 *
 * Rows say it as `<kind>=<value>,<value>` (`sys=cpus`, `read=examples`: a path within the repository), or as the kind
 * alone for all of it. `net=services` stands for the HTTP addresses of all services.
 *
 * @module
 */
import { join } from "node:path";
import { isSocketAddress, parseDatabaseUrl } from "shared/db/address.ts";
import { type ServiceRow, SERVICES } from "./services.ts";

type Kind = "net" | "read" | "write" | "env" | "sys" | "ffi" | "run" | "import";

/** Settings of a process, by variable. */
export type Environment = Readonly<Record<string, string>>;

/** Read by libraries, whatever their options say: pino (thread-stream) and postgres.js. */
const LIBRARY_VARIABLES = ["NODE_V8_COVERAGE", "PGAPPNAME", "PGTARGETSESSIONATTRS"];

export const ROOT: string = join(import.meta.dirname!, "..");

export interface PermissionOptions {
  /** The HTTP port of each service. Default: those of the table. */
  ports?: ReadonlyMap<string, number>;
}

/** The `--allow-*` list of a service's process that gets these settings. */
export async function permissionsOf(
  row: ServiceRow,
  env: Environment,
  options: PermissionOptions = {},
): Promise<string[]> {
  const granted = new Map<Kind, Set<string>>();
  const grant = (kind: Kind, ...values: readonly string[]) => {
    const known = granted.get(kind) ?? new Set();
    values.forEach((value) => known.add(value));
    granted.set(kind, known);
  };

  grant("net", ...natsAddresses(env["NATS_URL"] ?? ""));
  grant("net", `${env["HTTP_HOST"] ?? "127.0.0.1"}:${env["HTTP_PORT"] ?? row.httpPort}`);
  grant("read", join(ROOT, "node_modules"), join(ROOT, "services", row.name));
  grant("env", ...await settingsOf(row), ...LIBRARY_VARIABLES);
  // Each line of the log names the host.
  grant("sys", "hostname");
  if (row.database !== null && env["DATABASE_URL"] !== undefined) {
    grant("read", join(ROOT, "migrations/_common"), join(ROOT, "migrations", row.name));
    const address = parseDatabaseUrl(env["DATABASE_URL"]);
    if (isSocketAddress(address)) {
      const socket = join(address.host, `.s.PGSQL.${address.port}`);
      // Deno wants all three for a unix socket.
      grant("net", `unix:${socket}`);
      grant("read", socket);
      grant("write", socket);
    } else {
      grant("net", `${address.host}:${address.port}`);
    }
  }
  const whole = new Set<string>();
  for (const extra of row.permissions ?? []) {
    const [kind, values] = extra.split("=", 2);
    if (values === undefined) {
      whole.add(kind!);
      grant(kind as Kind);
    } else if (extra === "net=services") {
      grant(
        "net",
        ...SERVICES.map(({ name, httpPort }) => `127.0.0.1:${options.ports?.get(name) ?? httpPort}`),
      );
    } else if (kind === "read" || kind === "write") {
      grant(kind, ...values.split(",").map((path) => join(ROOT, path)));
    } else {
      grant(kind as Kind, ...values.split(","));
    }
  }
  return [...granted].map(([kind, values]) =>
    whole.has(kind) ? `--allow-${kind}` : `--allow-${kind}=${[...values].toSorted().join(",")}`
  );
}

/** Names of the variables that a service reads, from its own schema. */
export async function settingsOf(row: ServiceRow): Promise<string[]> {
  const { configSchema } = await import(`../services/${row.name}/config.ts`) as {
    configSchema: { shape: Record<string, unknown> };
  };
  return Object.keys(configSchema.shape);
}

function natsAddresses(urls: string): string[] {
  return urls.split(",").filter((url) => url !== "").map((url) => {
    const { hostname, port } = new URL(url);
    return `${hostname}:${port || "4222"}`;
  });
}
