/** Reading what is known of entities in views: buckets, and records where those do not answer. @module */
import type { Database, Queryable } from "shared/db/connection.ts";
import type { AskedBuckets } from "./asked_buckets.ts";
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
  buckets: AskedBuckets;
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
  { plan, bucketsAt }: Pick<AskedFeatures, "plan" | "bucketsAt">,
  { keys, sight }: { keys: ReadonlyMap<string, readonly string[]>; sight: Sight },
): Promise<FeatureData> {
  const question = { plan, buckets: bucketsAt(sight.atMs), keys, sight };
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

class Reading implements FeatureData {
  readonly #question: Question;
  /** By entity and key, the buckets of each view at its place: of those that have any. */
  readonly #buckets = new Map<string, Map<string, readonly (LoadedBuckets | undefined)[]>>();
  /** By source of an entity, and key. */
  readonly #histories = new Map<string, Map<string, History>>();
  snapshot = "";

  constructor(question: Question) {
    this.#question = question;
  }

  async readBuckets(reader: BucketReader): Promise<void> {
    const { buckets: { entities }, keys } = this.#question;
    const asked = entities.map(({ entity, set }) => ({ keys: [...new Set(keys.get(entity)!)], set }));
    const { found, snapshot } = await reader.read(asked);
    this.snapshot = snapshot;
    entities.forEach(({ entity, set, placeOf, views }, index) => {
      const ofKeys = asked[index]!.keys.map((key, place) => {
        const ofViews = new Array<LoadedBuckets | undefined>(views);
        const text = found[index]![place];
        if (text !== undefined) {
          decodeBuckets(text, (range, bucket) => {
            const loaded = ofViews[placeOf[range]!] ??= new LoadedBuckets();
            loaded.add(set.ranges[range]!.sizeMs, bucket);
          });
        }
        return [key, ofViews] as const;
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
    const place = this.#question.buckets.places.get(view);
    if (place === undefined) return undefined;
    return this.#buckets.get(view.entity)!.get(key)![place] ?? NO_BUCKETS;
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

/** The buckets of a view that were read. */
class LoadedBuckets implements Buckets {
  /** Few, and mostly one: a list that is as long as it must be takes the least memory. */
  #levels: readonly { sizeMs: number; buckets: Bucket[] }[] = [];
  #maxTimeMs = -Infinity;
  #maxKnownAtMs = -Infinity;

  /** Ranges of one level come in order. */
  add(sizeMs: number, bucket: Bucket): void {
    const level = this.#find(sizeMs);
    if (level === undefined) this.#levels = [...this.#levels, { sizeMs, buckets: [bucket] }];
    else level.buckets.push(bucket);
    this.#maxTimeMs = Math.max(this.#maxTimeMs, bucket.maxTimeMs);
    this.#maxKnownAtMs = Math.max(this.#maxKnownAtMs, bucket.maxKnownAtMs);
  }

  level(sizeMs: number): readonly Bucket[] {
    return this.#find(sizeMs)?.buckets ?? [];
  }

  #find(sizeMs: number) {
    return this.#levels.find((level) => level.sizeMs === sizeMs);
  }

  /** Whether a read may use all of them, which is nearly always. */
  areUsable(sight: Sight): boolean {
    return isUsable({ maxTimeMs: this.#maxTimeMs, maxKnownAtMs: this.#maxKnownAtMs }, sight);
  }
}

const NO_BUCKETS = new LoadedBuckets();

function groupName({ entity, source }: Pick<ViewPlan, "entity" | "source">): string {
  return `${entity} ${source}`;
}
