/**
 * Telling failures of the infrastructure from failures of the work itself.
 *
 * @module
 */
import { isBusAway } from "./bus/bus_errors.ts";
import { isDatabaseAway } from "./db/connection.ts";
import { AppError, type ErrorCode } from "./errors.ts";

const WAITING_HELPS: ReadonlySet<ErrorCode> = new Set(["unavailable", "timeout", "busy"]);

/**
 * Whether the bus, the database or a neighbour is away or overloaded: waiting and trying again is right, and
 * what was being worked on is not to blame for it.
 */
export function isInfrastructureError(error: unknown): boolean {
  if (error instanceof AppError) return WAITING_HELPS.has(error.code);
  return isBusAway(error) || isDatabaseAway(error);
}
