/**
 * The connection of a service to its PostgreSQL: a small pool of postgres.js, over the unix socket where the URL
 * names one. The pool reconnects by itself; what is in flight when the server goes away is rejected
 * ({@link isDatabaseAway}), and repeating it is for the caller, who knows whether it may be repeated.
 *
 * Values: `timestamptz` and `timestamp` come as instants (`2011-05-02T08:26:00.000Z`), `int8` as a number
 * (a query fails rather than round one beyond 2^53), `numeric` and `date` as text, `json` as what it says.
 * Write JSON as `${sql.json(value)}` into `jsonb`, and as `${JSON.stringify(value)}::text::json` into `json`:
 * a text that PostgreSQL is told to take as JSON directly is encoded a second time.
 *
 * Needs `--allow-env=PGAPPNAME,PGTARGETSESSIONATTRS`, and the network or the folder of the socket.
 *
 * @module
 */
import { createConnection } from "node:net";
import postgres from "postgres";
import { delay } from "../delay.ts";
import { messageOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import { describeAddress, isSocketAddress, parseDatabaseUrl } from "./address.ts";
import { OpenTransactions } from "./open_transactions.ts";
import { VALUE_TYPES } from "./values.ts";

export type Database = postgres.Sql;
export type Transaction = postgres.TransactionSql;
/** What a query that needs no transaction of its own takes: a {@link Database} or a {@link Transaction}. */
export type Queryable = postgres.ISql;

export interface DatabaseOptions {
  /** In one of the forms of {@link parseDatabaseUrl}. */
  url: string;
  log: Logger;
  /** Most connections at once; default 4. One PostgreSQL may serve all services and their copies. */
  max?: number;
  /** Shown by `pg_stat_activity`; default `microml`. */
  name?: string;
  /** Connections that are idle stay open, for what lives in their sessions. Default: they close after 20 s. */
  keepsSessions?: boolean;
}

/** What postgres.js would otherwise take from the environment, which is not where our settings come from. */
const FIXED_OPTIONS = {
  ssl: false,
  sslnegotiation: null,
  target_session_attrs: null,
  idle_timeout: 20,
  max_lifetime: null,
  max_pipeline: 100,
  keep_alive: 60,
  prepare: true,
  debug: false,
  fetch_types: true,
  publications: "alltables",
} as unknown as { ssl: false };

/** Opens no connection yet: the first query does. Release it with `db.end()`. */
export function connectDatabase(
  { url, log, max = 4, name = "microml", keepsSessions = false }: DatabaseOptions,
): Database {
  const address = parseDatabaseUrl(url);
  const { host, port, database, user, password } = address;
  const open = new OpenTransactions();
  const db = postgres({
    host,
    port,
    database,
    user,
    password,
    max,
    connect_timeout: 5,
    types: VALUE_TYPES,
    onnotice: (notice) => log.info({ database, notice: notice["message"] }, "PostgreSQL sent a notice"),
    connection: { application_name: name, TimeZone: "UTC" },
    backoff: (failures: number) => Math.min(0.05 * 2 ** failures, 2),
    ...FIXED_OPTIONS,
    ...(keepsSessions ? { idle_timeout: 0 } : {}),
    // Without TCP_NODELAY a COPY stalls 80 ms and a commit costs 1 ms more.
    ...(isSocketAddress(address) ? {} : { socket: () => createConnection({ host, port, noDelay: true }) }),
    onclose: () => open.connectionClosed(),
  });
  return open.guard(db);
}

/**
 * Codes of Node's sockets and of postgres.js, and PostgreSQL's own for shutting down, for starting up, and for a
 * database, role or password that is not there (yet, or any more): the work in hand is not to blame for these.
 */
const AWAY_CODES: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "ECONNREFUSED",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "CONNECT_TIMEOUT",
  "57P01",
  "57P02",
  "57P03",
  "3D000",
  "28P01",
  "28000",
]);

/** Classes of PostgreSQL's codes: connection lost, out of disk, memory or connections, errors of the system below. */
const AWAY_CLASSES = /^(?:08|53|58)[0-9A-Z]{3}$/;

/**
 * Whether the database can't be worked with at the moment, rather than refuses what it was asked: waiting and trying
 * again is right. What was in flight may or may not have been committed.
 */
export function isDatabaseAway(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined && (AWAY_CODES.has(code) || AWAY_CLASSES.test(code))) return true;
  if (code === "ENOENT" && isOfConnecting(error)) return true;
  return error instanceof Error && error.cause !== undefined && isDatabaseAway(error.cause);
}

/** A unix socket that is not there, rather than any file. */
function isOfConnecting(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && error.syscall === "connect";
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

const REMINDER_MS = 10_000;

export interface WaitOptions {
  /** Gives up, with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * Waits until the database answers, and says so: at first, and then every ten seconds.
 *
 * A database or role that is missing, or a wrong password, is waited for too: somebody may be making it.
 *
 * @throws what cannot become better by waiting
 */
export async function waitForDatabase(db: Database, log: Logger, options: WaitOptions = {}): Promise<void> {
  const { host, port, database, user } = db.options;
  const where = describeAddress({
    host: host[0] ?? "",
    port: port[0] ?? 0,
    database,
    user: user ?? "",
    password: "",
  });
  let reason = "it does not answer";
  let waiting = false;
  const say = () => {
    log.warn({ database: where, reason }, "Waiting for PostgreSQL");
    waiting = true;
  };
  // By the clock, because a connection that is taken and never answered fails nothing.
  const reminder = setInterval(say, REMINDER_MS);
  try {
    for (let waitMs = 50;; waitMs = Math.min(waitMs * 1.5, 1_000)) {
      options.signal?.throwIfAborted();
      try {
        await db`select 1`;
        if (waiting) log.info({ database: where }, "PostgreSQL answers");
        return;
      } catch (error) {
        if (!isDatabaseAway(error)) throw error;
        reason = messageOf(error);
        if (!waiting) say();
      }
      await delay(waitMs, options.signal);
    }
  } finally {
    clearInterval(reminder);
  }
}

const MAX_ATTEMPTS = 5;

/**
 * Runs `work` in a transaction, again from its start when PostgreSQL asks for that (a serialization failure or a
 * deadlock), at most five times. `work` must therefore do nothing but talk to the transaction.
 */
export async function transaction<T>(db: Database, work: (tx: Transaction) => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      // Wrapped, because postgres.js takes an array for a list of queries to wait for.
      const { result } = await db.begin(async (tx) => ({ result: await work(tx) }));
      return result;
    } catch (error) {
      const code = codeOf(error);
      if ((code !== "40001" && code !== "40P01") || attempt === MAX_ATTEMPTS) throw error;
      await delay(Math.random() * 20 * attempt);
    }
  }
}
