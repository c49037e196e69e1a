/**
 * Where a database is, read from its URL. Read here and not by the drivers, because they disagree on the form
 * with a unix socket, and so that an error message never shows a password.
 *
 * @module
 */
import { invalid } from "../errors.ts";

export interface DatabaseAddress {
  /** A host name, or the folder of the unix socket: an absolute path. */
  host: string;
  port: number;
  database: string;
  user: string;
  password: string;
}

const FORMS = "postgres://role:password@host:port/database or " +
  "postgres://role:password@/database?host=/folder/of/the/socket&port=5432";

/**
 * Reads `postgres://role:password@host:port/database` (TCP) or
 * `postgres://role:password@/database?host=/socket/folder&port=5432` (unix socket).
 *
 * @throws {AppError} `invalid` when the URL is neither
 */
export function parseDatabaseUrl(url: string): DatabaseAddress {
  // An URL with credentials must have a host: the one of the socket form is in its query.
  const withHost = url.replace(/^(postgres(?:ql)?:\/\/(?:[^@/?#]*@)?)(?=\/)/, "$1socket");
  if (!/^postgres(ql)?:/.test(url) || !URL.canParse(withHost)) {
    throw invalid(`Cannot read the database URL: it must be ${FORMS}`);
  }
  const { hostname, port, pathname, username, password, searchParams } = new URL(withHost);
  const unknown = [...searchParams.keys()].filter((name) => name !== "host" && name !== "port");
  if (unknown.length > 0) {
    throw invalid(`Cannot read the database URL: the parameter "${unknown[0]}" is not one of host, port`);
  }
  const database = decodeURIComponent(pathname.slice(1));
  const host = searchParams.get("host") ?? (withHost === url ? hostname : "");
  if (database === "" || username === "" || host === "") {
    throw invalid(`Cannot read the database URL: it must name a role, a host and a database, as in ${FORMS}`);
  }
  return {
    // URLs write IPv6 addresses in brackets, sockets take them without.
    host: host.replace(/^\[(.*)\]$/, "$1"),
    port: Number(searchParams.get("port") ?? (port || 5432)),
    database,
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
  };
}

/** Whether the server is reached by a unix socket. */
export function isSocketAddress(address: Pick<DatabaseAddress, "host">): boolean {
  return address.host.startsWith("/");
}

/** The address as people may read it: no password. */
export function describeAddress({ user, host, port, database }: DatabaseAddress): string {
  return `${user}@${host}:${port}/${database}`;
}
