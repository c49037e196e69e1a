/** Lets what is held of released sources go on: in the order in which it came, one batch a transaction. @module */
import { Gauge, type Registry } from "prom-client";
import { type Database, type Transaction, transaction } from "shared/db/connection.ts";
import { enqueue } from "shared/db/outbox.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart, type PeriodicPart } from "shared/periodic_part.ts";
import { announceBlocks, block, blockOfUnusable, endBlock, hold } from "./blocks.ts";
import { toMessages } from "./clean_messages.ts";
import { cleanRecords } from "./clean_records.ts";
import type { Cleanings } from "./cleanings.ts";
import { Counts, dayOf } from "./domain/counts.ts";
import { observationOf, type Observe } from "./observe.ts";
import { refuseLongOutbox } from "./outbox_room.ts";
import { listBlocks, lockReleased, takeFirstHeld } from "./repository/blocks.ts";
import { addToCounts } from "./repository/counts.ts";

export interface ReleaseDeps extends Pick<Cleanings, "cleaningOf"> {
  db: Database;
  log: Logger;
  metrics: Registry;
  observe: Observe;
  pokeOutbox(): void;
}

const POLL_MS = 1_000;

/** `poke()` after something was released; without it the worker looks once a second. */
export function createReleaseWorker(deps: ReleaseDeps): PeriodicPart {
  const { db, log } = deps;
  const gauges = blockGauges(deps.metrics);
  let announced = false;
  return createPeriodicPart({
    name: "release of blocked sources",
    action: "let held records go on",
    everyMs: POLL_MS,
    log,
    async work(signal) {
      if (!announced) await announceBlocks(db);
      announced = true;
      while (!signal.aborted && await releaseNext(deps)) deps.pokeOutbox();
      gauges.set(await listBlocks(db));
    },
  });
}

/** @returns whether there was something to do */
async function releaseNext(deps: ReleaseDeps): Promise<boolean> {
  return await transaction(deps.db, async (tx) => {
    const released = await lockReleased(tx);
    if (released === undefined) return false;
    await refuseLongOutbox(tx);
    if (!await releaseBatch(tx, deps, released.source)) await endBlock(tx, released);
    return true;
  });
}

/** @returns whether there was a batch */
async function releaseBatch(tx: Transaction, deps: ReleaseDeps, source: string): Promise<boolean> {
  const batch = await takeFirstHeld(tx, source);
  if (batch === undefined) return false;
  const cleaning = await deps.cleaningOf(source);
  const flow = {
    run: "",
    source,
    cleaning,
    records: batch.events.map((event) => ({ event, arrival: batch })),
  };
  const counts = new Counts();
  if (cleaning.cleaning.unusable !== undefined) {
    await block(tx, blockOfUnusable(cleaning, flow));
    await hold(tx, flow.records, { counts, maxBytes: Infinity });
    return true;
  }
  counts.of(flow, dayOf(batch.receivedAt)).held -= batch.events.length;
  const { clean, block: again } = await cleanRecords(tx, flow, counts);
  if (again !== undefined) {
    const { since, reason, rest } = again;
    await block(tx, { source, project: cleaning.project, since, reason });
    // It was held already: no more than before.
    await hold(tx, rest, { counts, maxBytes: Infinity });
  }
  await addToCounts(tx, counts.entries);
  await deps.observe(tx, [observationOf(flow, clean)]);
  await enqueue(tx, toMessages(flow, clean));
  return true;
}

function blockGauges(registry: Registry) {
  const blocked = new Gauge({
    name: "microml_preprocessing_blocked_sources",
    help: "Sources that are held until somebody releases them",
    registers: [registry],
  });
  const held = new Gauge({
    name: "microml_preprocessing_held_records",
    help: "Records that are held of a blocked source",
    labelNames: ["source"],
    registers: [registry],
  });
  return {
    set(blocks: readonly { source: string; held: number }[]) {
      blocked.set(blocks.length);
      held.reset();
      for (const { source, held: records } of blocks) held.set({ source }, records);
    },
  };
}
