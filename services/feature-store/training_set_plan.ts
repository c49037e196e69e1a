/** What a training set is made of, found and compiled. @module */
import type { Label, Spine } from "shared/contracts/feature_store.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { invalid, type Reason } from "shared/errors.ts";
import { type AskedFeatures, type Definitions, findEntity, findFeatures } from "./catalog.ts";
import { createLayout, type LayoutBuilder } from "./domain/history.ts";
import { type LabelPlan, planLabel } from "./domain/label.ts";
import { planSpine, type SpinePlan } from "./domain/spine.ts";

export interface TrainingSetPlan {
  entity: string;
  features: AskedFeatures;
  spine: SpinePlan;
  label: LabelPlan;
  /** Every source that features, spine or label read, with what is needed of its records. */
  layouts: ReadonlyMap<string, LayoutBuilder>;
}

export interface TrainingSetParts {
  entity: string;
  featureService: { name: string; version?: number | undefined };
  spine: Spine;
  label: Label;
}

/**
 * @throws {AppError} `not_found` when a definition is not there; `invalid` when the parts do not fit each other,
 * with every reason
 */
export async function planTrainingSet(
  definitions: Definitions,
  parts: TrainingSetParts,
): Promise<TrainingSetPlan> {
  const { entity, featureService, spine, label } = parts;
  await findEntity(definitions, entity);
  const features = await findFeatures(definitions, {
    service: featureService.name,
    version: featureService.version,
  });
  const reasons: Reason[] = [];
  for (const view of features.plan.views) {
    if (view.entity === entity) continue;
    const message = `holds features of "${view.entity}" (view "${view.name}"): the rows are of "${entity}"`;
    reasons.push({ path: "/featureService", message });
  }
  const described = sourcesOf(entity, [
    ...features.plan.views,
    ...definitions.views().map(({ body }) => body),
  ]);
  for (const [path, { source }] of [["/spine/source", spine], ["/label/source", label]] as const) {
    if (described.has(source)) continue;
    const message = `is "${source}": no view of the entity "${entity}" reads that source`;
    reasons.push({ path, message });
  }
  const lengths = [
    ["/spine/every", spine.every],
    ["/spine/activeWithin", spine.activeWithin],
    ["/label/within", label.within],
  ] as const;
  for (const [path, duration] of lengths) {
    if (durationToMs(duration) === 0) reasons.push({ path, message: "must be longer than nothing" });
  }
  const [first] = reasons;
  if (first !== undefined) {
    throw invalid(`Cannot build the training set: ${first.path} ${first.message}`, reasons);
  }

  const layouts = new Map(features.plan.layouts);
  const layoutOf = (source: string) => {
    const layout = layouts.get(source) ?? createLayout();
    layouts.set(source, layout);
    return layout;
  };
  return {
    entity,
    features,
    spine: planSpine(spine, layoutOf(spine.source)),
    label: planLabel(label, layoutOf(label.source)),
    layouts,
  };
}

function sourcesOf(entity: string, views: readonly { entity: string; source: string }[]): Set<string> {
  return new Set(views.filter((view) => view.entity === entity).map(({ source }) => source));
}
