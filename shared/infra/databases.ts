/**
 * One database and one role a service, in one server, with no way from one to another.
 *
 * Needs `--allow-net=unix:<socket>`, and reading and writing of the socket's folder.
 *
 * @module
 */

import postgres from "postgres";
import type { Superuser } from "./postgres_data.ts";

export interface DatabaseRow {
  database: string;
  /** Owns the database; its only login. */
  role: string;
  password: string;
}

export interface DatabaseServer {
  socketFolder: string;
  port: number;
  superuser: Superuser;
}

/** Any number that nobody else uses in the database `postgres`. */
const ADVISORY_LOCK = 5542;

/**
 * Makes what is missing of the roles and databases, sets the passwords, and takes from everybody but its owner
 * the right to connect to a database, to `postgres` and `template1` too. Doing it again changes nothing.
 */
export async function createDatabases(server: DatabaseServer, rows: readonly DatabaseRow[]): Promise<void> {
  const sql = postgres({
    host: server.socketFolder,
    port: server.port,
    database: "postgres",
    username: server.superuser.name,
    password: server.superuser.password,
    max: 1,
    onnotice: () => {},
  });
  /** Runs a statement whose names (`%I`) and texts (`%L`) the server itself quotes. */
  const execute = async (template: string, ...values: string[]) => {
    const [row] = await sql<[{ statement: string }]>`
      select format(${template}, variadic ${values}::text[]) as statement`;
    await sql.unsafe(row.statement);
  };

  try {
    // Two launchers may be at it at once. The lock goes with the connection, of which there is only one.
    await sql`select pg_advisory_lock(${ADVISORY_LOCK})`;
    for (const name of ["postgres", "template1"]) {
      await execute("revoke connect on database %I from public", name);
    }
    const roles = new Set(
      (await sql<{ name: string }[]>`select rolname as name from pg_roles`).map((r) => r.name),
    );
    const databases = new Set(
      (await sql<{ name: string }[]>`select datname as name from pg_database`).map((d) => d.name),
    );
    for (const { database, role, password } of rows) {
      const verb = roles.has(role) ? "alter" : "create";
      await execute(`${verb} role %I login nosuperuser nocreatedb nocreaterole password %L`, role, password);
      if (!databases.has(database)) await execute("create database %I owner %I", database, role);
      await execute("revoke connect on database %I from public", database);
    }
  } finally {
    await sql.end();
  }
}
