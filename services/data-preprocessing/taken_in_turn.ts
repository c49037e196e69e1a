/** A part that one copy of the service runs at a time. @module */
import type { Database, Transaction } from "shared/db/connection.ts";
import { delay } from "shared/delay.ts";
import { messageOf, unavailable } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
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
  const lease = { name, holder: `${instance} ${crypto.randomUUID()}` };
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();
  return {
    name: `turn of ${name}`,
    start() {
      running = run();
      return Promise.resolve();
    },
    async stop() {
      stopping.abort();
      await running;
    },
    async admit(tx) {
      if (!await holdsLease(tx, lease)) throw unavailable(`Cannot go on with ${name}: another copy does`);
    },
  };

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      if (await tryLease() === true) await runTurn();
      else await delay(ASK_MS, stopping.signal);
    }
  }

  async function runTurn(): Promise<void> {
    const part = create();
    await part.start();
    try {
      while (!stopping.signal.aborted) {
        await delay(RENEW_MS, stopping.signal);
        // While the database is away nobody can take the lease, and the part itself waits.
        if (!stopping.signal.aborted && await tryLease() === false) return;
      }
    } finally {
      await part.stop();
      await giveUp();
    }
  }

  /** @returns whether it is ours; nothing while the database is away */
  async function tryLease(): Promise<boolean | undefined> {
    try {
      return await takeLease(db, { ...lease, seconds: LEASE_SECONDS });
    } catch (error) {
      log.warn({ reason: messageOf(error) }, `Cannot ask for the turn of ${name}`);
      return undefined;
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
