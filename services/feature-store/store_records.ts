/** Storing events as records of entities, and in the buckets of the views that follow them. @module */
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";
import { together } from "shared/db/together.ts";
import { type Change, updateBuckets } from "./update_buckets.ts";
import {
  insertRecords,
  type KnownRecord,
  markRetracted,
  readKnown,
  type RecordRow,
} from "./repository/records.ts";
import { readFollowing } from "./repository/view_versions.ts";

/** An event with the entities that it is a record of. */
export interface EntityEvent {
  source: string;
  id: string;
  /** The version of the cleaning that made it. */
  definition: number;
  time: Instant;
  knownAt: Instant;
  data: DataRecord;
  /** Entities with their canonical keys; none: it is kept for entities to come, and replaces older versions. */
  places: readonly { entity: string; key: string }[];
  /** This version says that there is no such event. */
  retracted?: boolean;
}

/**
 * Stores what is not there yet. The newest version of an event is what counts: where it is of another entity or another
 * time than an older one, or retracts the event, the older one's place is retracted as of when the newer was known. Rows
 * stay, so that T before that see what they saw.
 *
 * The caller holds the locks of the sources (`lockSources`).
 *
 * @returns how many events of each source became a record of an entity
 */
export async function storeRecords(
  tx: Transaction,
  events: readonly EntityEvent[],
): Promise<Map<string, number>> {
  const incoming = Map.groupBy(events, eventName);
  const [rowsBefore, following] = await together(
    readKnown(tx, [...incoming.values()].map(([event]) => event!)),
    readFollowing(tx, [...new Set(events.map(({ source }) => source))]),
  );
  const known = Map.groupBy(rowsBefore, eventName);
  const stored = new Map<string, number>();
  const rows: RecordRow[] = [];
  const changes: Change[] = [];
  const withdrawn: KnownRecord[] = [];
  for (const [name, versions] of incoming) {
    const before = known.get(name) ?? [];
    const { added, retractedTo } = newRows(versions, before);
    rows.push(...added);
    const hasVersions = new Set([...before, ...added].map(({ definition }) => definition)).size > 1;
    const isNew = !hasVersions && retractedTo === undefined;
    for (const row of added) {
      if (row.entity === "") continue;
      const version = versions.find(({ definition }) => definition === row.definition);
      changes.push({ row, data: row.retracted ? {} : version!.data, isNew });
    }
    for (const row of before) {
      if (row.definition !== retractedTo || row.retracted) continue;
      withdrawn.push(row);
      if (row.entity !== "") changes.push({ row, data: {}, isNew: false });
    }
    const { source } = versions[0]!;
    const taken = countTaken(versions, { added, before });
    if (taken > 0) stored.set(source, (stored.get(source) ?? 0) + taken);
  }
  await together(
    markRetracted(tx, withdrawn),
    insertRecords(tx, rows),
    updateBuckets(tx, changes, following),
  );
  return stored;
}

/**
 * How many versions became records: those that were not there and not taken back before they came. One that is taken
 * back later was a record, also when both come together.
 */
function countTaken(
  versions: readonly EntityEvent[],
  { added, before }: { added: readonly RecordRow[]; before: readonly KnownRecord[] },
): number {
  const isNew = new Set(added.filter(({ entity }) => entity !== "").map(({ definition }) => definition));
  let retractedTo = Math.max(...before.filter(isRetraction).map(({ definition }) => definition));
  let taken = 0;
  for (const { definition, retracted } of versions) {
    if (retracted) retractedTo = Math.max(retractedTo, definition);
    else if (isNew.delete(definition) && definition > retractedTo) taken++;
  }
  return taken;
}

/** The row of a version that says that there is no such event. */
function isRetraction({ entity, retracted }: KnownRecord): boolean {
  return entity === "" && retracted;
}

function eventName({ source, id }: { source: string; id: string }): string {
  return `${source} ${id}`;
}

/**
 * The rows of an event's versions that are not there. A retraction takes back its own version and older ones, whichever
 * comes first.
 */
function newRows(
  versions: readonly EntityEvent[],
  known: readonly KnownRecord[],
): { added: RecordRow[]; retractedTo: number | undefined } {
  const retracting = [
    ...versions.filter(({ retracted }) => retracted),
    ...known.filter(isRetraction),
  ].map(({ definition }) => definition);
  const retractedTo = retracting.length === 0 ? undefined : Math.max(...retracting);
  const added: RecordRow[] = [];
  for (const event of versions) {
    const places = event.places.length > 0 ? event.places : [{ entity: "", key: "" }];
    for (const { entity, key } of places) {
      // A version may have retracted another place of the same entity, which says nothing of its own.
      const isThere = (row: KnownRecord) =>
        row.definition === event.definition && row.entity === entity &&
        (!row.retracted || (row.entityKey === key && row.eventTime === event.time));
      if (known.some(isThere) || added.some(isThere)) continue;
      const retracted = event.retracted || event.definition === retractedTo;
      added.push(toRow({ ...event, retracted }, { entity, entityKey: key, eventTime: event.time }));
    }
  }
  // Nearly always: the first that is heard of an event.
  if (known.length === 0 && versions.length === 1) return { added, retractedTo };
  return { added: [...added, ...retractions([...known, ...added])], retractedTo };
}

function toRow(event: EntityEvent, place: Pick<RecordRow, "entity" | "entityKey" | "eventTime">): RecordRow {
  const { source, id, definition, knownAt, data, retracted = false } = event;
  return { source, id, definition, ...place, knownAt, data: JSON.stringify(data), retracted };
}

/** Every place of a version that a newer version does not name is retracted by it. */
function retractions(rows: readonly KnownRecord[]): RecordRow[] {
  const versions = new Map(rows.map((row) => [row.definition, row]));
  const places = Map.groupBy(
    rows.filter(({ entity }) => entity !== ""),
    ({ entity, entityKey, eventTime }) => `${entity} ${entityKey} ${eventTime}`,
  );
  return [...places.values()].flatMap((ofPlace) => {
    const [{ entity, entityKey, eventTime }] = ofPlace as [KnownRecord];
    const oldest = Math.min(...ofPlace.map(({ definition }) => definition));
    return [...versions.values()]
      .filter(({ definition }) =>
        definition > oldest && !ofPlace.some((row) => row.definition === definition)
      )
      .map((version) => ({ ...version, entity, entityKey, eventTime, data: "{}", retracted: true }));
  });
}
