/**
 * What must hold for a definition beyond its shape, before it is stored.
 *
 * @module
 */
import type { FeatureServiceBody, ViewBody } from "shared/contracts/feature_store.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { AppError, invalid, notFound, type Reason } from "shared/errors.ts";
import { planFeatures } from "./feature_plan.ts";

export interface KnownDefinitions {
  hasEntity: boolean;
  /** Other views, which expressions may read. */
  views: ReadonlyMap<string, ViewBody>;
}

/** @throws {AppError} `invalid`, with every mistake: no such entity, a length of nothing, a window that is shorter
 * than the hop, what does not compile */
export function checkView(name: string, body: ViewBody, known: KnownDefinitions): void {
  const reasons: Reason[] = [];
  if (!known.hasEntity) {
    reasons.push({ path: "/entity", message: `is "${body.entity}": there is no such entity` });
  }
  const { hop, ...withoutHop } = body;
  const standsStill = hop !== undefined && durationToMs(hop) === 0;
  if (standsStill) reasons.push({ path: "/hop", message: "must be longer than nothing" });
  const planned = standsStill ? withoutHop : body;
  if (body.ttl !== null && durationToMs(body.ttl) === 0) {
    reasons.push({ path: "/ttl", message: "must be longer than nothing" });
  }
  for (const [feature, definition] of Object.entries(body.features)) {
    const path = `/features/${feature}`;
    const window = "expression" in definition ? null : definition.window;
    if (window !== null && durationToMs(window) === 0) {
      reasons.push({ path: `${path}/window`, message: "must be longer than nothing" });
    } else if (window !== null && hop !== undefined && durationToMs(hop) > durationToMs(window)) {
      reasons.push({ path: `${path}/window`, message: `is ${window}, shorter than the hop (${hop})` });
    }
    try {
      planFeatures([`${name}.${feature}`], viewOf);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      reasons.push(...(error.reasons.length > 0 ? error.reasons : [{ path, message: error.message }]));
    }
  }
  refuse(`Cannot define the view "${name}"`, reasons);

  function viewOf(asked: string) {
    const found = asked === name ? planned : known.views.get(asked);
    if (found === undefined) throw notFound(`reads a feature of the view "${asked}", which is not there`);
    return { name: asked, version: 1, project: "", body: found };
  }
}

/** @throws {AppError} `invalid` when a feature that it names is not there, or is named twice */
export function checkFeatureService(
  name: string,
  body: FeatureServiceBody,
  views: ReadonlyMap<string, ViewBody>,
): void {
  const reasons = body.features.flatMap((reference, index): Reason[] => {
    const path = `/features/${index}`;
    const [viewName = "", feature = ""] = reference.split(".");
    const view = views.get(viewName);
    if (body.features.indexOf(reference) !== index) return [{ path, message: `names "${reference}" again` }];
    if (view === undefined) return [{ path, message: `is "${reference}": there is no view "${viewName}"` }];
    if (Object.hasOwn(view.features, feature)) return [];
    const offered = Object.keys(view.features).join(", ");
    return [{ path, message: `is "${reference}": the view has ${offered}` }];
  });
  refuse(`Cannot define the feature service "${name}"`, reasons);
}

function refuse(action: string, reasons: readonly Reason[]): void {
  const unique = reasons.filter((reason, index) =>
    reasons.findIndex((other) => other.path === reason.path && other.message === reason.message) === index
  );
  if (unique.length === 0) return;
  const [first] = unique;
  throw invalid(`${action}: ${first!.path} ${first!.message}`, unique);
}
