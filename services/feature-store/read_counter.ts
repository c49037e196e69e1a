/** Counts online reads in memory, and keeps the counts now and then. @module */
import { type Database, transaction } from "shared/db/connection.ts";
import { messageOf } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart } from "shared/periodic_part.ts";
import { addReads, type ReadNode, type Reads } from "./repository/insight.ts";

export interface ReadCounter {
  part: Part;
  /** One read of each. */
  count(nodes: readonly ReadNode[], entities: number): void;
}

/** What a crash may lose: usage is an estimate. */
const KEEP_EVERY_MS = 10_000;

export function createReadCounter({ db, log }: { db: Database; log: Logger }): ReadCounter {
  let counted = new Map<string, Reads>();

  async function keep(): Promise<void> {
    if (counted.size === 0) return;
    const taken = counted;
    counted = new Map();
    try {
      await transaction(db, (tx) => addReads(tx, [...taken.values()]));
    } catch (error) {
      log.warn(
        { reason: messageOf(error) },
        "Cannot keep how often features were read: these counts are lost",
      );
    }
  }

  const keeping = createPeriodicPart({
    name: "read counter",
    action: "keep how often features were read",
    everyMs: KEEP_EVERY_MS,
    log,
    work: keep,
  });
  return {
    count(nodes, entities) {
      for (const { kind, name } of nodes) {
        const key = `${kind}/${name}`;
        const reads = counted.get(key) ?? { kind, name, reads: 0, entities: 0 };
        counted.set(key, reads);
        reads.reads++;
        reads.entities += entities;
      }
    },
    part: {
      ...keeping,
      async stop() {
        await keeping.stop();
        await keep();
      },
    },
  };
}
