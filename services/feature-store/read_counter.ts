/** Counts online reads in memory, and keeps the counts now and then. @module */
import { type Database, transaction } from "shared/db/connection.ts";
import { messageOf } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart } from "shared/periodic_part.ts";
import type { FeatureSelection } from "./catalog.ts";
import { addReads, type Reads } from "./repository/insight.ts";

export interface ReadCounter {
  part: Part;
  count(features: FeatureSelection, entities: number): void;
}

/** What a crash may lose: usage is an estimate. */
const KEEP_EVERY_MS = 10_000;

export function createReadCounter({ db, log }: { db: Database; log: Logger }): ReadCounter {
  let counted = new Map<string, Reads>();

  function add(kind: Reads["kind"], name: string, entities: number): void {
    const key = `${kind}/${name}`;
    const reads = counted.get(key) ?? { kind, name, reads: 0, entities: 0 };
    counted.set(key, reads);
    reads.reads++;
    reads.entities += entities;
  }

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
    count(features, entities) {
      if ("service" in features) return add("service", features.service, entities);
      const counted = new Set<string>();
      for (const reference of features) {
        const view = reference.slice(0, reference.indexOf("."));
        if (counted.has(view)) continue;
        counted.add(view);
        add("view", view, entities);
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
