/** Filling versions of views, and new entities of sources, from what is stored: page by page, beside the live flow. @module */
import { type Database, type Transaction, transaction } from "shared/db/connection.ts";
import type { KeyType } from "shared/contracts/entity_key.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart, type PeriodicPart } from "shared/periodic_part.ts";
import { entitiesOf } from "./domain/event_records.ts";
import { fillKeys } from "./fill_keys.ts";
import { readStaleKeys, readStaleVersions } from "./repository/buckets.ts";
import { readBodies } from "./repository/current_definitions.ts";
import { countKeys, readEventsAfter, readKeysAfter } from "./repository/records.ts";
import {
  advanceBuilding,
  advanceSource,
  type DescribedSource,
  finishBuilding,
  lockSources,
  readUnfilledSources,
  readViewVersions,
  removeRetired,
  takeBuilding,
  takeUnfilledSource,
  type ViewVersionRow,
} from "./repository/view_versions.ts";
import { storeRecords } from "./store_records.ts";

/** In one transaction, during which nothing else of the source is stored. */
const KEYS_AT_ONCE = 100;
const EVENTS_AT_ONCE = 1_000;
const BUCKETS_AT_ONCE = 5_000;
/** How often to look for work that another copy was asked for, and to try again when the database is away. */
const POLL_MS = 1_000;

export interface FillerDeps {
  db: Database;
  log: Logger;
  /** Told after each round. */
  afterRound: () => Promise<void>;
}

/**
 * Copies of the service take turns, page by page. A page and the mark how far it came are one transaction: whoever dies
 * leaves nothing half done, and the next goes on from the mark. `poke()` when there is something to do.
 */
export function createViewFiller({ db, log, afterRound }: FillerDeps): PeriodicPart {
  return createPeriodicPart({
    name: "view filler",
    action: "fill views from history",
    everyMs: POLL_MS,
    log,
    async work(signal) {
      let worked: boolean;
      do {
        worked = await fillSomething(db, log);
        await afterRound();
      } while (worked && !signal.aborted);
    },
  });
}

/** One page of everything that waits. @returns whether there was any */
export async function fillSomething(db: Database, log: Logger): Promise<boolean> {
  let worked = false;
  const unfilled = await readUnfilledSources(db);
  for (const source of unfilled) worked = await fillSource(db, source) || worked;
  const stale = new Set(await readStaleVersions(db));
  for (const version of await readViewVersions(db)) {
    const waits = unfilled.some(({ source, entity }) =>
      source === version.source && entity === version.entity
    );
    if (version.status === "building" && !waits) worked = await fillVersion(db, version, log) || worked;
    if (version.status !== "retired" && stale.has(version.id)) {
      worked = await fillStale(db, version) || worked;
    }
  }
  return await removeRetired(db, BUCKETS_AT_ONCE) > 0 || worked;
}

/** Makes stored events records of an entity that their source did not describe before. */
async function fillSource(db: Database, waiting: DescribedSource): Promise<boolean> {
  return await transaction(db, async (tx) => {
    const { source, entity } = waiting;
    await lockSources(tx, [source]);
    const taken = await takeUnfilledSource(tx, waiting);
    if (taken === undefined) return false;
    const keys = (await readBodies(tx, "entity", [entity])).get(entity) as
      | { keys: Record<string, KeyType> }
      | undefined;
    const events = await readEventsAfter(tx, { source, after: taken.filledTo, limit: EVENTS_AT_ONCE });
    if (keys !== undefined) {
      const described = [{ name: entity, keys: keys.keys }];
      const placed = events.map((event) => ({
        ...event,
        places: entitiesOf(event.data, described).records,
      }));
      await storeRecords(tx, placed.filter(({ places }) => places.length > 0));
    }
    await advanceSource(tx, { source, entity, filledTo: events.at(-1)?.id ?? null });
    return true;
  });
}

async function fillVersion(db: Database, waiting: ViewVersionRow, log: Logger): Promise<boolean> {
  return await transaction(db, async (tx) => {
    await lockSources(tx, [waiting.source]);
    const version = await takeBuilding(tx, waiting.id);
    if (version === undefined) return false;
    const { id, entity, source, filledTo, view, keysFilled } = version;
    const keys = await readKeysAfter(tx, { entity, source, after: filledTo, limit: KEYS_AT_ONCE });
    if (keys.length === 0) {
      await finishBuilding(tx, id);
      log.info({ view, version: version.version, keys: keysFilled }, "Filled a view from history");
      return true;
    }
    await fillKeys(tx, version, keys);
    const keysTotal = await totalKeys(tx, version);
    await advanceBuilding(tx, { id, filledTo: keys.at(-1)!, keys: keys.length, keysTotal });
    return true;
  });
}

/** Counted once, for it reads the whole index: it only says how far the filling is. */
async function totalKeys(tx: Transaction, { entity, source, keysTotal }: ViewVersionRow): Promise<number> {
  return keysTotal > 0 ? keysTotal : await countKeys(tx, { entity, source });
}

async function fillStale(db: Database, version: ViewVersionRow): Promise<boolean> {
  return await transaction(db, async (tx) => {
    await lockSources(tx, [version.source]);
    const keys = await readStaleKeys(tx, { viewVersion: version.id, limit: KEYS_AT_ONCE });
    if (keys.length === 0) return false;
    await fillKeys(tx, version, keys);
    return true;
  });
}
