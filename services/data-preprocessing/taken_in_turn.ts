/** A part that one copy of the service runs at a time. @module */
import type { Database, Transaction } from "shared/db/connection.ts";
import { delay } from "shared/delay.ts";
import { messageOf, unavailable } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart } from "shared/periodic_part.ts";
import { giveUpLease, holdsLease, takeLease } from "./repository/leases.ts";

export interface TurnOptions {
  db: Database;
  log: Logger;
  /** Of the lease. */
  name: string;
  /** Tells copies apart. */
  instance: string;
  /** Makes the part, anew for each turn. */
  create(): Part;
}

export interface Turn extends Part {
  /**
   * Call it in a transaction of the part.
   *
   * @throws {AppError} `unavailable` when it is another copy's turn: this one has lost the lease, and will notice soon
   */
  admit(tx: Transaction): Promise<void>;
}

const LEASE_SECONDS = 15;
const RENEW_MS = 4_000;
const ASK_MS = 2_000;

/** Runs the part while this copy has the lease. A copy that dies is followed by another within 15 seconds. */
export function createTurn({ db, log, name, instance, create }: TurnOptions): Turn {
  // Two copies may have been given the same name.
  const lease = { name, holder: `${instance} ${crypto.randomUUID()}`, seconds: LEASE_SECONDS };
  const part = createPeriodicPart({
    name: `turn of ${name}`,
    action: `take the turn of ${name}`,
    everyMs: ASK_MS,
    log,
    async work(signal) {
      if (await takeLease(db, lease)) await runTurn(signal);
    },
  });
  return {
    ...part,
    async admit(tx) {
      if (!await holdsLease(tx, lease)) throw unavailable(`Cannot go on with ${name}: another copy does`);
    },
  };

  async function runTurn(signal: AbortSignal): Promise<void> {
    const part = create();
    await part.start();
    try {
      while (!signal.aborted) {
        await delay(RENEW_MS, signal);
        if (!signal.aborted && !await renew()) return;
      }
    } finally {
      await part.stop();
      await giveUp();
    }
  }

  /** Whether it is ours still. While the database is away nobody can take it, and the part itself waits. */
  async function renew(): Promise<boolean> {
    try {
      return await takeLease(db, lease);
    } catch (error) {
      log.warn({ reason: messageOf(error) }, `Cannot ask for the turn of ${name}`);
      return true;
    }
  }

  async function giveUp(): Promise<void> {
    try {
      await giveUpLease(db, lease);
    } catch (error) {
      log.warn({ reason: messageOf(error) }, `Cannot give up the turn of ${name}: it ends by itself`);
    }
  }
}
