/** Reading what is known of entities in views: buckets, and records where those do not answer. @module */
import type { Database, Queryable } from "shared/db/connection.ts";
import type { AskedFeatures } from "./catalog.ts";
import type { Bucket, Buckets, Sight } from "./domain/buckets.ts";
import { createHistory, createLayout, type History } from "./domain/history.ts";
import type { ViewData, ViewPlan } from "./domain/view_plan.ts";
import { type RangeQuery, readRanges } from "./repository/buckets.ts";
import { readHistories, readNewestTimes } from "./repository/records.ts";

export interface FeatureData {
  /** What is known of the entity at a position, in a view. */
  of(view: ViewPlan, position: number): ViewData;
  /** What was visible, as PostgreSQL's `pg_snapshot`. */
  snapshot: string;
}

const NO_RECORDS = createHistory(createLayout(), []);

/**
 * Everything comes from one snapshot: from one statement where buckets answer, which is nearly always, else from one
 * transaction.
 *
 * @param keys by entity, the keys of each position
 */
export async function readFeatureData(
  db: Database,
  { plan, buckets }: Pick<AskedFeatures, "plan" | "buckets">,
  { keys, sight }: { keys: ReadonlyMap<string, readonly string[]>; sight: Sight },
): Promise<FeatureData> {
  const read = await new Reading(plan, { buckets, keys, sight }).readBuckets(db);
  if (!read.needsRecords) return read;
  const all = await db.begin("isolation level repeatable read read only", async (tx) => {
    const again = await new Reading(plan, { buckets, keys, sight }).readBuckets(tx);
    await again.readRecords(tx);
    return { read: again };
  });
  return all.read;
}

/** Views over one source of one entity: they look at the same records. */
interface Group {
  entity: string;
  source: string;
  views: ViewPlan[];
}

class Reading implements FeatureData {
  readonly #plan: AskedFeatures["plan"];
  readonly #viewVersions: ReadonlyMap<string, number>;
  readonly #keys: ReadonlyMap<string, readonly string[]>;
  readonly #sight: Sight;
  /** By view, and by key. */
  readonly #buckets = new Map<ViewPlan, Map<string, Buckets>>();
  readonly #histories = new Map<string, Map<string, History>>();
  snapshot = "";

  constructor(
    plan: AskedFeatures["plan"],
    options: {
      buckets: ReadonlyMap<string, number>;
      keys: ReadonlyMap<string, readonly string[]>;
      sight: Sight;
    },
  ) {
    this.#plan = plan;
    this.#viewVersions = options.buckets;
    this.#keys = options.keys;
    this.#sight = options.sight;
  }

  async readBuckets(db: Queryable): Promise<this> {
    const asked: (RangeQuery & { view: ViewPlan })[] = [];
    for (const view of this.#plan.views) {
      const viewVersion = this.#viewVersions.get(view.name);
      if (viewVersion === undefined) continue;
      const ranges = view.ranges(this.#sight.atMs);
      for (const key of new Set(this.#keys.get(view.entity)!)) {
        for (const range of ranges) asked.push({ view, viewVersion, key, ...range });
      }
    }
    const { found, snapshot } = await readRanges(db, asked);
    this.snapshot = snapshot;
    asked.forEach(({ view, key, sizeMs }, index) =>
      this.#addBuckets(view, { key, sizeMs, found: found[index]! })
    );
    return this;
  }

  get needsRecords(): boolean {
    return this.#plan.views.some((view) =>
      this.#keys.get(view.entity)!.some((key) => this.#recordsAfter(view, key) !== undefined)
    );
  }

  async readRecords(db: Queryable): Promise<void> {
    const groups = Map.groupBy(this.#plan.views, groupName);
    for (const views of groups.values()) {
      const [{ entity, source }] = views as [ViewPlan];
      await this.#readGroup(db, { entity, source, views });
    }
  }

  of(view: ViewPlan, position: number): ViewData {
    const key = this.#keys.get(view.entity)![position]!;
    const history = this.#histories.get(groupName(view))?.get(key) ?? NO_RECORDS;
    return { history, buckets: this.#buckets.get(view)?.get(key) };
  }

  #addBuckets(
    view: ViewPlan,
    { key, sizeMs, found }: { key: string; sizeMs: number; found: Bucket[] },
  ): void {
    const ofView = this.#buckets.get(view) ?? new Map<string, Buckets>();
    this.#buckets.set(view, ofView);
    const levels = (ofView.get(key) ?? new LoadedBuckets()) as LoadedBuckets;
    ofView.set(key, levels);
    levels.add(sizeMs, found);
  }

  /** Undefined: buckets answer. */
  #recordsAfter(view: ViewPlan, key: string): number | undefined {
    const buckets = this.#buckets.get(view)?.get(key);
    return buckets === undefined
      ? view.reachesBack(this.#sight.atMs)
      : view.recordsAfter(buckets, this.#sight);
  }

  /** The records of the entities that need them, as far back as one of them does. */
  async #readGroup(db: Queryable, { entity, source, views }: Group): Promise<void> {
    const { atMs, knownByMs } = this.#sight;
    const reach = new Map<string, number>();
    for (const key of this.#keys.get(entity)!) {
      for (const view of views) {
        const after = this.#recordsAfter(view, key);
        if (after !== undefined) reach.set(key, Math.min(after, reach.get(key) ?? Infinity));
      }
    }
    if (reach.size === 0) return;
    const layout = this.#plan.layouts.get(source)!;
    const keys = [...reach.keys()];
    const after = Math.min(...reach.values());
    const records = await readHistories(db, {
      entity,
      source,
      keys,
      fields: layout.filters.length > 0 ? undefined : layout.fields,
      after,
      until: atMs,
      knownBy: knownByMs,
    });
    const newest = after === -Infinity
      ? new Map<string, number>()
      : await readNewestTimes(db, { entity, source, keys, until: atMs, knownBy: knownByMs });
    const histories = keys.map((key) =>
      [key, createHistory(layout, records.get(key) ?? [], { newestBefore: newest.get(key) })] as const
    );
    this.#histories.set(`${entity} ${source}`, new Map(histories));
  }
}

/** The buckets of the ranges that were read. */
class LoadedBuckets implements Buckets {
  readonly #levels = new Map<number, Bucket[]>();

  /** Ranges of one level come in order. */
  add(sizeMs: number, buckets: Bucket[]): void {
    const known = this.#levels.get(sizeMs);
    if (known === undefined) this.#levels.set(sizeMs, buckets);
    else known.push(...buckets);
  }

  level(sizeMs: number): readonly Bucket[] {
    return this.#levels.get(sizeMs) ?? [];
  }
}

function groupName({ entity, source }: Pick<ViewPlan, "entity" | "source">): string {
  return `${entity} ${source}`;
}
