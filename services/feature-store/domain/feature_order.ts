import type { Feature, ViewBody } from "shared/contracts/feature_store.ts";
import { invalid, type Reason } from "shared/errors.ts";
import { compileExpression, type Expression } from "shared/expressions/cel.ts";

/** An expression over other features `f` of the same view. @throws {AppError} `invalid` */
export function compileFeatureExpression(source: string): Expression {
  return compileExpression(source, { variables: { f: "map" } });
}

/** The features that a feature is computed from. */
export function operandsOf(feature: Feature): readonly string[] {
  return "expression" in feature ? compileFeatureExpression(feature.expression).reads["f"] ?? [] : [];
}

/**
 * The asked features of a view and all that they are computed from, each after its operands.
 *
 * @throws {AppError} `invalid` when an expression reads a feature that the view lacks, or the features go round
 * in a circle
 */
export function orderFeatures(
  view: { name: string; features: ViewBody["features"] },
  asked: readonly string[],
): string[] {
  const ordered = new Set<string>();
  const path: string[] = [];
  const reasons: Reason[] = [];
  for (const name of asked) visit(name);
  if (reasons.length > 0) {
    throw invalid(
      `Cannot compute the features of the view "${view.name}": ${reasons[0]!.path} ${reasons[0]!.message}`,
      reasons,
    );
  }
  return [...ordered];

  function visit(name: string): void {
    if (ordered.has(name)) return;
    if (path.includes(name)) {
      const circle = [...path.slice(path.indexOf(name)), name].join(" -> ");
      reasons.push({ path: `/features/${name}`, message: `depends on itself: ${circle}` });
      return;
    }
    const feature = view.features[name];
    if (feature === undefined) {
      const reader = path.at(-1);
      reasons.push({
        path: `/features/${reader ?? name}`,
        message: reader === undefined ? "is not there" : `reads f.${name}, which the view does not have`,
      });
      return;
    }
    path.push(name);
    for (const operand of operandsOf(feature)) visit(operand);
    path.pop();
    ordered.add(name);
  }
}
