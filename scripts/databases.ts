/**
 * The databases of the services on a developer's machine: named in the table of services, all in one server.
 *
 * @module
 */
import type { DatabaseRow, DatabaseServer } from "shared/infra/databases.ts";
import { type ServiceDatabase, type ServiceRow, SERVICES } from "./services.ts";

export type ServiceWithDatabase = ServiceRow & { database: ServiceDatabase };

export const hasDatabase = (row: ServiceRow): row is ServiceWithDatabase => row.database !== null;

export const SERVICES_WITH_DATABASE: readonly ServiceWithDatabase[] = SERVICES.filter(hasDatabase);

/** What the server must hold for a service: one database and one role of one name, which is the password too. */
export const databaseRow = ({ database: { name } }: ServiceWithDatabase): DatabaseRow => ({
  database: name,
  role: name,
  password: name,
});

export const DATABASE_ROWS: readonly DatabaseRow[] = SERVICES_WITH_DATABASE.map(databaseRow);

/** The `DATABASE_URL` of a service whose database is in this server. */
export function databaseUrl(
  { database: { name } }: ServiceWithDatabase,
  server: Pick<DatabaseServer, "socketFolder" | "port">,
): string {
  const query = new URLSearchParams({ host: server.socketFolder, port: String(server.port) });
  return `postgres://${name}:${name}@/${name}?${query}`;
}
