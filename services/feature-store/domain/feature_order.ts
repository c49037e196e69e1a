import type { Feature } from "shared/contracts/feature_store.ts";
import { invalid, type Reason } from "shared/errors.ts";
import { compileExpression, type Expression } from "shared/expressions/cel.ts";
import type { ViewDefinition } from "./feature_plan.ts";

/** An expression over other features `f` and over values `r` that come with the request. @throws {AppError} `invalid` */
export function compileFeatureExpression(source: string): Expression {
  return compileExpression(source, { variables: { f: "map", r: "map" } });
}

/** The features that a feature is computed from, as its expression names them. */
function operandsOf(feature: Feature): readonly string[] {
  return "expression" in feature ? compileFeatureExpression(feature.expression).reads["f"] ?? [] : [];
}

/** The values of a request that the expression of a feature reads. */
export function requestReadBy(feature: Feature): readonly string[] {
  return "expression" in feature ? compileFeatureExpression(feature.expression).reads["r"] ?? [] : [];
}

/** `view.feature`, of a feature as an expression of a view names it. */
export function toReference(view: string, operand: string): string {
  return operand.includes(".") ? operand : `${view}.${operand}`;
}

export function splitReference(reference: string): [view: string, feature: string] {
  const [view = "", feature = ""] = reference.split(".");
  return [view, feature];
}

/** What a feature of a view is computed from, `view.feature` each. */
export function featuresReadBy(view: string, feature: Feature): string[] {
  return operandsOf(feature).map((operand) => toReference(view, operand));
}

/** The other views that features of a view read. */
export function viewsReadBy(view: string, body: Pick<ViewDefinition["body"], "features">): string[] {
  const references = Object.values(body.features).flatMap((feature) => featuresReadBy(view, feature));
  return [...new Set(references.map((reference) => splitReference(reference)[0]))]
    .filter((name) => name !== view);
}

/**
 * The asked features (`view.feature`) and all that they are computed from, each after its operands.
 *
 * @throws {AppError} `invalid` when an expression reads a feature that is not there, or is of another entity, or a
 * request value that its view does not declare, or when features go round in a circle
 */
export function orderFeatures(asked: readonly string[], viewOf: (name: string) => ViewDefinition): string[] {
  const ordered = new Set<string>();
  const path: string[] = [];
  const reasons: Reason[] = [];
  for (const reference of asked) visit(reference);
  if (reasons.length > 0) {
    const [first] = reasons;
    throw invalid(`Cannot compute the features: ${first!.path} ${first!.message}`, reasons);
  }
  return [...ordered];

  function visit(reference: string): void {
    if (ordered.has(reference)) return;
    const [viewName, name] = splitReference(reference);
    if (path.includes(reference)) {
      const circle = [...path.slice(path.indexOf(reference)), reference].join(" -> ");
      reasons.push({ path: `/features/${name}`, message: `depends on itself: ${circle}` });
      return;
    }
    const { body } = viewOf(viewName);
    const feature = Object.hasOwn(body.features, name) ? body.features[name] : undefined;
    const reader = path.at(-1);
    if (feature === undefined) {
      const subject = reader === undefined ? "is not there" : `reads ${reference}, which is not there`;
      const message = `${subject}: the view "${viewName}" has ${Object.keys(body.features).join(", ")}`;
      reasons.push({ path: `/features/${splitReference(reader ?? reference)[1]}`, message });
      return;
    }
    if (reader !== undefined) refuseOtherEntity(reader, reference);
    path.push(reference);
    refuseUndeclared(name, feature, body.request);
    for (const operand of featuresReadBy(viewName, feature)) visit(operand);
    path.pop();
    ordered.add(reference);
  }

  function refuseOtherEntity(reader: string, reference: string): void {
    const [readerView, readerName] = splitReference(reader);
    const own = viewOf(readerView).body.entity;
    const other = viewOf(splitReference(reference)[0]).body.entity;
    if (own === other) return;
    const message = `reads ${reference} of the entity "${other}", and is itself of "${own}"`;
    reasons.push({ path: `/features/${readerName}`, message });
  }

  function refuseUndeclared(
    name: string,
    feature: Feature,
    declared: Readonly<Record<string, string>>,
  ): void {
    for (const value of requestReadBy(feature)) {
      if (Object.hasOwn(declared, value)) continue;
      const message = `reads r.${value}, which "request" does not declare`;
      reasons.push({ path: `/features/${name}`, message });
    }
  }
}
