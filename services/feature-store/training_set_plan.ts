/** What a training set is made of, found and compiled. @module */
import type { EntityBody, GivenSpine, Label, Spine } from "shared/contracts/feature_store.ts";
import type { Instant } from "shared/contracts/time.ts";
import { invalid, type Reason } from "shared/errors.ts";
import { type AskedFeatures, type Definitions, findEntity, findFeatures } from "./catalog.ts";
import { mistakesIn } from "./domain/check_observation.ts";
import type { GivenSpineOptions } from "./domain/given_spine.ts";
import { createLayout, type LayoutBuilder } from "./domain/history.ts";
import { type LabelPlan, planLabel } from "./domain/label.ts";
import { planSpine, type SpinePlan } from "./domain/spine.ts";

export interface TrainingSetPlan {
  entity: string;
  /** The parts of the entity's key. */
  keys: EntityBody["keys"];
  features: AskedFeatures;
  /** Declared; undefined where the rows are given. */
  spine: SpinePlan | undefined;
  /** Looked up; undefined where there is none, or it is a column of the spine. */
  label: LabelPlan | undefined;
  /** Every source that features, spine or label read, with what is needed of its records. */
  layouts: ReadonlyMap<string, LayoutBuilder>;
}

export interface TrainingSetParts {
  entity: string;
  featureService: { name: string; version?: number | undefined };
  spine: Spine | GivenSpine;
  label: Label | { column: string } | null;
  from: Instant | null;
  to: Instant | null;
}

export const isGiven = (spine: Spine | GivenSpine): spine is GivenSpine => !("source" in spine);

/** The columns that a given spine must have besides the key and T, and the types of those that features read. */
export function columnsOf(
  { spine, label, features }: {
    spine: GivenSpine;
    label: TrainingSetParts["label"];
    features: AskedFeatures;
  },
): Pick<GivenSpineOptions, "columns" | "types"> {
  const { request } = features.plan;
  const columns = [
    ...spine.carry,
    ...(label !== null && "column" in label ? [label.column] : []),
    ...request.keys(),
  ];
  return { columns, types: request };
}

/**
 * @throws {AppError} `not_found` when a definition is not there; `invalid` when the parts do not fit each other,
 * with every reason
 */
export async function planTrainingSet(
  definitions: Definitions,
  parts: TrainingSetParts,
): Promise<TrainingSetPlan> {
  const { entity, featureService, spine } = parts;
  const { keys } = await findEntity(definitions, entity);
  const features = await findFeatures(definitions, {
    service: featureService.name,
    // The newest, filled or not: records answer.
    version: featureService.version ?? (await definitions.featureService(featureService.name))?.version,
  });
  const declared = isGiven(spine) ? undefined : spine;
  const label = parts.label !== null && "source" in parts.label ? parts.label : undefined;
  const reasons = [
    ...features.plan.views.filter((view) => view.entity !== entity).map((
      { name, entity: other },
    ): Reason => ({
      path: "/featureService",
      message: `holds features of "${other}" (view "${name}"): the rows are of "${entity}"`,
    })),
    ...misplacedParts(parts, features),
    ...mistakesIn({ entity, spine: declared, label }, [
      ...features.plan.views,
      ...definitions.views().map(({ body }) => body),
    ]),
  ];
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
    keys,
    features,
    spine: declared && planSpine(declared, layoutOf(declared.source)),
    label: label && planLabel(label, layoutOf(label.source)),
    layouts,
  };
}

/** What goes with one kind of spine only. */
function misplacedParts({ spine, label, from, to }: TrainingSetParts, features: AskedFeatures): Reason[] {
  if (!isGiven(spine)) {
    const { request } = features.plan;
    const values = [...request.keys()].join(", ");
    return [
      ...(label !== null && "column" in label
        ? [{ path: "/label/column", message: "is a column of a given spine: this one is declared" }]
        : []),
      ...(request.size > 0
        ? [{
          path: "/spine",
          message: `is declared: give rows, with what on-demand features ask for (${values})`,
        }]
        : []),
      ...(from !== null && to !== null && from > to
        ? [{ path: "/from", message: `is ${from}, after the last T (${to})` }]
        : []),
    ];
  }
  const message = "goes with a declared spine: of a given one every row is kept";
  return [
    ...(from === null ? [] : [{ path: "/from", message }]),
    ...(to === null ? [] : [{ path: "/to", message }]),
  ];
}
