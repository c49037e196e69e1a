/** Which versions of views can be read from buckets, in memory. @module */
import type { ViewProgress } from "shared/contracts/feature_store.ts";
import type { Queryable } from "shared/db/connection.ts";
import { readUnfilledSources, readViewVersions, type ViewVersionRow } from "./repository/view_versions.ts";

export interface ViewCatalog {
  /** Looks into the table; a version is retired, or its old windows are given up, a minute before buckets go. */
  refresh(): Promise<void>;
  /** A version of a view; looks again when it does not know it. */
  find(view: string, version: number): Promise<ViewVersionRow | undefined>;
  /** The versions of a view whose buckets are complete, newest first. */
  ready(view: string): ViewVersionRow[];
  /** Whether all stored events of a source are records of an entity. */
  isFilled(source: string, entity: string): boolean;
  onChange(listener: () => void): void;
}

/** For who reads nothing but records. */
export const recordsOnly: ViewCatalog = {
  refresh: () => Promise.resolve(),
  find: () => Promise.resolve(undefined),
  ready: () => [],
  isFilled: () => true,
  onChange: () => {},
};

export function createViewCatalog(db: Queryable): ViewCatalog {
  let versions: ViewVersionRow[] = [];
  let unfilled: { source: string; entity: string }[] = [];
  let seen = "";
  const listeners: (() => void)[] = [];

  async function refresh(): Promise<void> {
    versions = await readViewVersions(db);
    unfilled = await readUnfilledSources(db);
    const now = JSON.stringify([
      versions.map(({ id, status, intactFromMs }) => [id, status, intactFromMs]),
      unfilled.map(({ source, entity }) => [source, entity]),
    ]);
    if (now === seen) return;
    seen = now;
    for (const listener of listeners) listener();
  }

  const known = (view: string, version: number) =>
    versions.find((row) => row.view === view && row.version === version);
  return {
    refresh,
    async find(view, version) {
      if (known(view, version) === undefined) await refresh();
      return known(view, version);
    },
    ready: (view) => versions.filter((row) => row.view === view && row.status === "ready").reverse(),
    isFilled: (source, entity) => !unfilled.some((row) => row.source === source && row.entity === entity),
    onChange: (listener) => void listeners.push(listener),
  };
}

/** How far each version is filled, of all views or of one. */
export async function readProgress(db: Queryable, view?: string): Promise<ViewProgress[]> {
  const rows = await readViewVersions(db, view);
  return rows.map(({ view: name, version, status, keysFilled, keysTotal }) => {
    const progress = status === "building" ? Math.min(keysFilled / Math.max(keysTotal, 1), 1) : 1;
    return { name, version, status, progress };
  });
}
