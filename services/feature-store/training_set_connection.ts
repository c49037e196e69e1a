/** The connection of a thread that works on a training set. @module */
import { connectDatabase, type Database } from "shared/db/connection.ts";
import { messageOf, unavailable } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import { createLogger } from "shared/log.ts";

/** By which `pg_stat_activity` shows who reads for a training set. */
export const CONNECTION_NAME = "microml-training-set";

/** @throws {AppError} `unavailable` when the database is away, which is told across the border of the thread that way */
export async function withConnection<T>(url: string, work: (db: Database) => Promise<T>): Promise<T> {
  const log = createLogger("feature-store", { level: "warn" });
  const db = connectDatabase({ url, log, max: 1, name: CONNECTION_NAME });
  try {
    return await work(db);
  } catch (error) {
    if (!isInfrastructureError(error)) throw error;
    throw unavailable(`Cannot read the records of a training set: ${messageOf(error)}`, { cause: error });
  } finally {
    await db.end({ timeout: 1 });
  }
}
