/**
 * Showing the dead letters of a service and taking them in again, as every service does that consumes a stream.
 *
 * @module
 */
import type { listDeadLetters, redriveDeadLetters } from "../contracts/dead_letters.ts";
import { bind, type BoundEndpoint } from "../contracts/endpoint.ts";
import type { Database } from "../db/connection.ts";
import { once } from "../db/idempotency.ts";
import { messageOf, unavailable } from "../errors.ts";
import { isBusAway } from "./bus_errors.ts";
import type { Bus } from "./connection.ts";
import * as listing from "./list_dead_letters.ts";
import * as redriving from "./redrive_dead_letters.ts";

export interface DeadLetterEndpointsOptions {
  service: string;
  /** Its endpoints, by shared/contracts/dead_letters.ts. */
  list: ReturnType<typeof listDeadLetters>;
  redrive: ReturnType<typeof redriveDeadLetters>;
  /** Keeps the answers to idempotency keys. */
  db: Database;
  /** Opens payloads that the consumer has sealed. Without it, sealed letters can't be redriven. */
  open?: ((payload: Uint8Array) => Uint8Array) | undefined;
}

export function createDeadLetterEndpoints(bus: Bus, options: DeadLetterEndpointsOptions): BoundEndpoint[] {
  const { service, list, redrive, db, open } = options;
  return [
    bind(list, (request) => reported(() => listing.listDeadLetters(bus, service, request))),
    bind(redrive, (request, context) => {
      const work = () => reported(() => redriving.redriveDeadLetters(bus, service, { ...request, open }));
      // May be repeated, as `once` wants it: what has gone back is gone from the letters.
      return context.idempotencyKey === undefined
        ? work()
        : once(db, context, { endpoint: redrive.subject, request }, work);
    }),
  ];
}

async function reported<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isBusAway(error)) throw error;
    throw unavailable(`Cannot reach the dead letters: ${messageOf(error)}`, { cause: error });
  }
}
