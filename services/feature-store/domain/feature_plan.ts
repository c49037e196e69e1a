/**
 * The value of features for an entity at T: the one implementation, for online reads and training sets alike.
 *
 * A feature sees the records of its view's source with event time <= T and known-at <= T, in windows
 * (floor(T - w, hop), T].
 *
 * @module
 */
import type { FeatureStatus, FeatureValue, ViewBody } from "shared/contracts/feature_store.ts";
import { createLayout, type History, type LayoutBuilder } from "./history.ts";
import { planView, type ViewPlan } from "./view_plan.ts";

export interface ViewDefinition {
  name: string;
  version: number;
  project: string;
  body: ViewBody;
}

/** The values of one entity at one T, in the order of the plan's features. */
export interface FeatureRow {
  values: FeatureValue[];
  statuses: FeatureStatus[];
  /** Event time of the newest record behind each value, milliseconds since 1970. */
  eventTimes: (number | null)[];
}

export interface FeaturePlan {
  /** `view.feature`, in the order asked. */
  readonly features: readonly string[];
  readonly views: readonly ViewPlan[];
  /** What is needed of the records of each source; labels and spines may add to it before histories are made. */
  readonly layouts: ReadonlyMap<string, LayoutBuilder>;
  /** @param histories gives the history of the entity that a view describes, from the view's source */
  evaluate(histories: (view: ViewPlan) => History, atMs: number): FeatureRow;
}

/**
 * @param features `view.feature` each
 * @param viewOf throws when there is no such view
 * @throws {AppError} `invalid` when a feature is not there or does not compile
 */
export function planFeatures(
  features: readonly string[],
  viewOf: (name: string) => ViewDefinition,
): FeaturePlan {
  const askedOf = new Map<string, string[]>();
  const places = features.map((reference) => {
    const [viewName = "", feature = ""] = reference.split(".");
    const asked = askedOf.get(viewName) ?? [];
    askedOf.set(viewName, asked);
    const known = asked.indexOf(feature);
    return { viewName, position: known >= 0 ? known : asked.push(feature) - 1 };
  });

  const layouts = new Map<string, LayoutBuilder>();
  const views = [...askedOf].map(([viewName, asked]) => {
    const view = viewOf(viewName);
    const layout = layouts.get(view.body.source) ?? createLayout();
    layouts.set(view.body.source, layout);
    return planView(view, asked, layout);
  });
  const viewIndexes = places.map(({ viewName }) => views.findIndex((view) => view.name === viewName));

  return {
    features,
    views,
    layouts,
    evaluate(histories, at) {
      const results = views.map((view) => view.evaluate(histories(view), at));
      const row: FeatureRow = { values: [], statuses: [], eventTimes: [] };
      places.forEach(({ position }, index) => {
        const { absent, values, eventTimes } = results[viewIndexes[index]!]!;
        const value = values[position]!;
        row.values.push(value);
        row.statuses.push(absent ?? (value === null ? "NULL" : "PRESENT"));
        row.eventTimes.push(eventTimes[position]!);
      });
      return row;
    },
  };
}
