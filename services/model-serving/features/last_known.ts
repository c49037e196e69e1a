/** The rows that were last read of each entity, as many and as old as a deployment declares. @module */
import type { Entity } from "shared/contracts/entity_key.ts";
import type { FeatureStatus, FeatureValue } from "shared/contracts/feature_store.ts";
import type { Instant } from "shared/contracts/time.ts";

/** A row in the order of the feature service. */
export interface KnownRow {
  values: readonly FeatureValue[];
  statuses: readonly FeatureStatus[];
  eventTimes: readonly (Instant | null)[];
  /** When it was read, by the clock that is handed in. */
  readAt: number;
}

export interface LastKnown {
  /** @param of the feature service in its version */
  remember(of: string, entity: Entity, row: KnownRow, atMost: number): void;
  /** The row, when it was read at `notBefore` or later. */
  find(of: string, entity: Entity, notBefore: number): KnownRow | undefined;
}

export function createLastKnown(): LastKnown {
  /** By feature service; of an entity that is read again the row comes last, so that the first is the least recent. */
  const rowsOf = new Map<string, Map<string, KnownRow>>();
  return {
    remember(of, entity, row, atMost) {
      let rows = rowsOf.get(of);
      if (rows === undefined) rowsOf.set(of, rows = new Map());
      const key = keyOf(entity);
      rows.delete(key);
      rows.set(key, row);
      for (const oldest of rows.keys()) {
        if (rows.size <= atMost) break;
        rows.delete(oldest);
      }
    },
    find(of, entity, notBefore) {
      const row = rowsOf.get(of)?.get(keyOf(entity));
      return row !== undefined && row.readAt >= notBefore ? row : undefined;
    },
  };
}

/** 17850 and "17850" may be two entities: each is remembered as it was asked for. */
const keyOf = (entity: Entity): string =>
  JSON.stringify(Object.entries(entity).sort(([a], [b]) => a < b ? -1 : 1));
