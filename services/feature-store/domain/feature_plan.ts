/**
 * The value of features for an entity at T: the one implementation, for online reads and training sets alike.
 *
 * A feature sees the records of its view's source with event time <= T and known-at <= T, in windows
 * (floor(T - w, hop), T].
 *
 * @module
 */
import type { FeatureStatus, FeatureValue, RequestValues, ViewBody } from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import type { Expression } from "shared/expressions/cel.ts";
import { compileFeatureExpression, orderFeatures, splitReference, toReference } from "./feature_order.ts";
import { createLayout, type LayoutBuilder, toFeatureValue } from "./history.ts";
import {
  type AskedAggregate,
  clear,
  noValues,
  planView,
  type Values,
  type ViewData,
  type ViewPlan,
} from "./view_plan.ts";

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
  /** Positions of the values that are approximate: distinct and most frequent values beyond their bound. */
  approximate: number[];
}

/** What a read sees, and what it brings. */
export interface Moment {
  atMs: number;
  /** Which records count by their known-at; default: those known by T. `Infinity`: all of them. */
  knownByMs?: number;
  /** What on-demand features read; what is missing is null. */
  request?: RequestValues | undefined;
}

export interface FeaturePlan {
  /** `view.feature`, in the order asked. */
  readonly features: readonly string[];
  /** Those of the features, and those that their expressions read. */
  readonly views: readonly ViewPlan[];
  /** What is needed of the records of each source; labels and spines may add to it before histories are made. */
  readonly layouts: ReadonlyMap<string, LayoutBuilder>;
  /** What a request must bring, with the type of each: of the on-demand features among those asked. */
  readonly request: ReadonlyMap<string, "number" | "string" | "boolean">;
  /**
   * The features of one entity at one T.
   *
   * Online reads hand in buckets, and records where those don't answer. A training set hands in the whole history of an
   * entity, made once by `createHistory` of the source's layout, and asks for as many T as it likes: filters, numbers
   * and positions are computed once a history, so that a value costs a binary search in its lane and one pass over the
   * records of its window. To go on from T to T instead of beginning anew, build on what this is made of: the lanes of
   * the history, `selectRecords`, and `createPartial` with `add` and `merge`.
   *
   * @param dataOf what is known of the entity that a view describes
   */
  evaluate(dataOf: (view: ViewPlan) => ViewData, moment: Moment): FeatureRow;
}

/** What is computed from other features. Its step, like theirs, is the place of its value. */
interface ExpressionStep {
  step: number;
  view: number;
  expression: Expression;
  operands: readonly { name: string; step: number }[];
  /** It reads values of the request: it is computed where the entity is not known, too. */
  onDemand: boolean;
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
  const ordered = orderFeatures(features, viewOf);
  const names = [...new Set(ordered.map((reference) => splitReference(reference)[0]))];
  const definitions = names.map(viewOf);
  const aggregates: AskedAggregate[][] = names.map(() => []);
  const request = new Map<string, "number" | "string" | "boolean">();
  const expressions: ExpressionStep[] = [];
  const stepOf = new Map(ordered.map((reference, step) => [reference, step]));
  ordered.forEach(addStep);

  const layouts = new Map<string, LayoutBuilder>();
  const views = definitions.map((definition, index) => {
    const { source } = definition.body;
    const layout = layouts.get(source) ?? createLayout();
    layouts.set(source, layout);
    return planView(definition, aggregates[index]!, layout);
  });
  const outputs = features.map((reference) => ({
    step: stepOf.get(reference)!,
    view: names.indexOf(splitReference(reference)[0]),
  }));
  /** Of the read in hand; used again by the next one. */
  const computed = noValues(ordered.length);
  return { features, views, layouts, request, evaluate };

  function addStep(reference: string, step: number): void {
    const [viewName, name] = splitReference(reference);
    const view = names.indexOf(viewName);
    const { body } = definitions[view]!;
    const feature = body.features[name]!;
    if (!("expression" in feature)) {
      aggregates[view]!.push({ feature: name, place: step });
      return;
    }
    const expression = compileFeatureExpression(feature.expression);
    const operands = (expression.reads["f"] ?? [])
      .map((operand) => ({ name: operand, step: stepOf.get(toReference(viewName, operand))! }));
    const values = expression.reads["r"] ?? [];
    for (const value of values) request.set(value, body.request[value]!);
    expressions.push({ step, view, expression, operands, onDemand: values.length > 0 });
  }

  function evaluate(dataOf: (view: ViewPlan) => ViewData, moment: Moment): FeatureRow {
    const sight = { atMs: moment.atMs, knownByMs: moment.knownByMs ?? moment.atMs };
    clear(computed);
    const absences = views.map((view) => view.evaluate(dataOf(view), sight, computed));
    for (const expression of expressions) {
      if (absences[expression.view] !== undefined && !expression.onDemand) continue;
      compute(expression, computed, moment.request ?? {});
    }
    const row: FeatureRow = {
      values: new Array(outputs.length),
      statuses: new Array(outputs.length),
      eventTimes: new Array(outputs.length),
      approximate: [],
    };
    outputs.forEach(({ step, view }, index) => {
      const value = computed.values[step]!;
      row.values[index] = value;
      row.statuses[index] = value === null ? absences[view] ?? "NULL" : "PRESENT";
      row.eventTimes[index] = computed.eventTimes[step]!;
      if (computed.approximate.has(step)) row.approximate.push(index);
    });
    return row;
  }
}

/** The value of an expression from those of its operands, whose steps come before its own. */
function compute(
  { step, expression, operands }: ExpressionStep,
  { values, eventTimes, approximate }: Values,
  request: RequestValues,
): void {
  const given: Record<string, FeatureValue> = {};
  for (const { name, step: operand } of operands) {
    given[name] = values[operand]!;
    eventTimes[step] = later(eventTimes[step]!, eventTimes[operand]!);
    if (approximate.has(operand)) approximate.add(step);
  }
  values[step] = evaluateExpression(expression, { f: given, r: request });
}

/** Null as well when the operands do not fit the expression, such as text times a number. */
function evaluateExpression(
  expression: Expression,
  variables: { f: Record<string, FeatureValue>; r: RequestValues },
): FeatureValue {
  try {
    return toFeatureValue(expression.evaluate(variables));
  } catch (error) {
    if (error instanceof AppError && error.code === "unprocessable") return null;
    throw error;
  }
}

function later(a: number | null, b: number | null): number | null {
  return a === null || (b !== null && b > a) ? b : a;
}
