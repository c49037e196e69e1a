/** Reading what is known of entities in views: buckets, and records where those do not answer. @module */
import type { Database, Queryable } from "shared/db/connection.ts";
import type { BucketReader } from "./bucket_reader.ts";
import type { AskedFeatures } from "./catalog.ts";
import { type Bucket, type Buckets, isUsable, type Sight } from "./domain/buckets.ts";
import { createHistory, createLayout, type History } from "./domain/history.ts";
import type { ViewData, ViewPlan } from "./domain/view_plan.ts";
import { decodeBuckets, readRanges } from "./repository/buckets.ts";
import { readHistories, readNewestTimes } from "./repository/records.ts";

export interface FeatureData {
  /** What is known of the entity at a position, in a view. */
  of(view: ViewPlan, position: number): ViewData;
  /** What was visible, as PostgreSQL's `pg_snapshot`. */
  snapshot: string;
}

/** What a read asks for. */
interface Question {
  plan: AskedFeatures["plan"];
  /** Rows of `view_versions` by view, of the views that are read from buckets at this T. */
  viewVersions: ReadonlyMap<string, number>;
  /** By entity, the keys of each position. */
  keys: ReadonlyMap<string, readonly string[]>;
  sight: Sight;
}

const NO_RECORDS = createHistory(createLayout(), []);

/**
 * Everything comes from one snapshot: from one statement where buckets answer, which is nearly always, else from one
 * transaction.
 *
 * @param keys by entity, the keys of each position
 */
export async function readFeatureData(
  { db, buckets }: { db: Database; buckets: BucketReader },
  { plan, buckets: sources }: Pick<AskedFeatures, "plan" | "buckets">,
  { keys, sight }: { keys: ReadonlyMap<string, readonly string[]>; sight: Sight },
): Promise<FeatureData> {
  const viewVersions = new Map(
    [...sources]
      .filter(([, { intactFromMs }]) => intactFromMs === null || sight.atMs >= intactFromMs)
      .map(([view, { viewVersion }]) => [view, viewVersion]),
  );
  const question = { plan, viewVersions, keys, sight };
  const read = new Reading(question);
  await read.readBuckets(buckets);
  if (!read.needsRecords) return read;
  const all = await db.begin("isolation level repeatable read read only", async (tx) => {
    const again = new Reading(question);
    await again.readBuckets({ read: (queries) => readRanges(tx, queries) });
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

/** The buckets of one entity, by view: of those that are read from buckets. */
type EntityBuckets = ReadonlyMap<ViewPlan, LoadedBuckets>;

class Reading implements FeatureData {
  readonly #question: Question;
  /** By entity and key. */
  readonly #buckets = new Map<string, Map<string, EntityBuckets>>();
  /** By source of an entity, and key. */
  readonly #histories = new Map<string, Map<string, History>>();
  snapshot = "";

  constructor(question: Question) {
    this.#question = question;
  }

  async readBuckets(reader: BucketReader): Promise<void> {
    const { plan, viewVersions, keys, sight } = this.#question;
    const asked = [...keys].map(([entity, ofPositions]) => {
      const views = plan.views.filter((view) => view.entity === entity && viewVersions.has(view.name));
      const ranges = views.flatMap((view) =>
        view.ranges(sight.atMs).map((range) => ({
          ...range,
          view,
          viewVersion: viewVersions.get(view.name)!,
        }))
      );
      return { entity, views, ranges, keys: [...new Set(ofPositions)] };
    });
    const { found, snapshot } = await reader.read(asked);
    this.snapshot = snapshot;
    asked.forEach(({ entity, views, ranges, keys }, index) => {
      const ofKeys = keys.map((key, place) => {
        const buckets = new Map(views.map((view) => [view, new LoadedBuckets()]));
        const text = found[index]![place];
        if (text !== undefined) {
          decodeBuckets(text, (range, bucket) => {
            const { view, sizeMs } = ranges[range]!;
            buckets.get(view)!.add(sizeMs, bucket);
          });
        }
        return [key, buckets] as const;
      });
      this.#buckets.set(entity, new Map(ofKeys));
    });
  }

  get needsRecords(): boolean {
    const { plan, keys } = this.#question;
    return plan.views.some((view) =>
      keys.get(view.entity)!.some((key) => this.#recordsAfter(view, key) !== undefined)
    );
  }

  async readRecords(db: Queryable): Promise<void> {
    const groups = Map.groupBy(this.#question.plan.views, groupName);
    for (const views of groups.values()) {
      const [{ entity, source }] = views as [ViewPlan];
      await this.#readGroup(db, { entity, source, views });
    }
  }

  of(view: ViewPlan, position: number): ViewData {
    const key = this.#question.keys.get(view.entity)![position]!;
    const history = this.#histories.get(groupName(view))?.get(key) ?? NO_RECORDS;
    return { history, buckets: this.#bucketsOf(view, key) };
  }

  #bucketsOf(view: ViewPlan, key: string): LoadedBuckets | undefined {
    return this.#buckets.get(view.entity)!.get(key)!.get(view);
  }

  /** Undefined: buckets answer. */
  #recordsAfter(view: ViewPlan, key: string): number | undefined {
    const { sight } = this.#question;
    const buckets = this.#bucketsOf(view, key);
    if (buckets === undefined) return view.reachesBack(sight.atMs);
    return buckets.areUsable(sight) ? undefined : view.recordsAfter(buckets, sight);
  }

  /** The records of the entities that need them, as far back as one of them does. */
  async #readGroup(db: Queryable, { entity, source, views }: Group): Promise<void> {
    const { atMs, knownByMs } = this.#question.sight;
    const reach = new Map<string, number>();
    for (const key of this.#question.keys.get(entity)!) {
      for (const view of views) {
        const after = this.#recordsAfter(view, key);
        if (after !== undefined) reach.set(key, Math.min(after, reach.get(key) ?? Infinity));
      }
    }
    if (reach.size === 0) return;
    const layout = this.#question.plan.layouts.get(source)!;
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
  #maxTimeMs = -Infinity;
  #maxKnownAtMs = -Infinity;

  /** Ranges of one level come in order. */
  add(sizeMs: number, bucket: Bucket): void {
    const level = this.#levels.get(sizeMs);
    if (level === undefined) this.#levels.set(sizeMs, [bucket]);
    else level.push(bucket);
    this.#maxTimeMs = Math.max(this.#maxTimeMs, bucket.maxTimeMs);
    this.#maxKnownAtMs = Math.max(this.#maxKnownAtMs, bucket.maxKnownAtMs);
  }

  level(sizeMs: number): readonly Bucket[] {
    return this.#levels.get(sizeMs) ?? [];
  }

  /** Whether a read may use all of them, which is nearly always. */
  areUsable(sight: Sight): boolean {
    return isUsable({ maxTimeMs: this.#maxTimeMs, maxKnownAtMs: this.#maxKnownAtMs }, sight);
  }
}

function groupName({ entity, source }: Pick<ViewPlan, "entity" | "source">): string {
  return `${entity} ${source}`;
}
