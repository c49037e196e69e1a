/** Which buckets a selection of features is read from at T. @module */
import type { FeaturePlan } from "./domain/feature_plan.ts";
import type { ViewPlan } from "./domain/view_plan.ts";
import { createRangeSet, type RangeSet, type VersionRange } from "./repository/buckets.ts";

/** The buckets of a version of a view. */
export interface BucketSource {
  /** Row of `view_versions`. */
  viewVersion: number;
  /** A T before it is answered from the records; null: none is. */
  intactFromMs: number | null;
}

/** The buckets that the views of one entity are read from. */
export interface EntityBuckets {
  entity: string;
  set: RangeSet;
  /** Of each range of the set, the place of its view ... */
  placeOf: readonly number[];
  /** ... among so many. */
  views: number;
}

/** The buckets that a read asks for. */
export interface AskedBuckets {
  entities: readonly EntityBuckets[];
  /** The place of each view that is read from buckets, among those of its entity. */
  places: ReadonlyMap<ViewPlan, number>;
}

/**
 * What is asked for changes only when T passes a tick of a window: it is kept until then, since to put it together costs
 * as much as all else that a read does here.
 *
 * @param sources by view: of those that are read from buckets
 */
export function createBucketQuestion(
  plan: FeaturePlan,
  sources: ReadonlyMap<string, BucketSource>,
): (atMs: number) => AskedBuckets {
  let kept = { fromMs: Infinity, untilMs: -Infinity, asked: askBuckets(plan, new Map(), 0) };
  return (atMs) => {
    if (atMs < kept.fromMs || atMs >= kept.untilMs) {
      const versions = new Map<ViewPlan, number>();
      let untilMs = Infinity;
      for (const view of plan.views) {
        const source = sources.get(view.name);
        if (source === undefined) continue;
        const { viewVersion, intactFromMs } = source;
        if (intactFromMs !== null && atMs < intactFromMs) {
          untilMs = Math.min(untilMs, intactFromMs);
        } else {
          versions.set(view, viewVersion);
          untilMs = Math.min(untilMs, view.rangesChangeAt(atMs));
        }
      }
      kept = { fromMs: atMs, untilMs, asked: askBuckets(plan, versions, atMs) };
    }
    return kept.asked;
  };
}

function askBuckets(
  { views }: FeaturePlan,
  versions: ReadonlyMap<ViewPlan, number>,
  atMs: number,
): AskedBuckets {
  const places = new Map<ViewPlan, number>();
  const entities = [...Map.groupBy(views, ({ entity }) => entity)].map(([entity, ofEntity]) => {
    const ranges: VersionRange[] = [];
    const placeOf: number[] = [];
    const read = ofEntity.filter((view) => versions.has(view));
    read.forEach((view, place) => {
      places.set(view, place);
      for (const range of view.ranges(atMs)) {
        ranges.push({ viewVersion: versions.get(view)!, ...range });
        placeOf.push(place);
      }
    });
    return { entity, set: createRangeSet(ranges), placeOf, views: read.length };
  });
  return { entities, places };
}
