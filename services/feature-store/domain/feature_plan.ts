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
import { type AggregateValue, planView, type ViewData, type ViewPlan, type ViewValues } from "./view_plan.ts";

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

type Step =
  | { view: number; aggregate: number }
  | {
    view: number;
    expression: Expression;
    operands: readonly { name: string; step: number }[];
    /** It reads values of the request: it is computed where the entity is not known, too. */
    onDemand: boolean;
  };

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
  const aggregates: string[][] = names.map(() => []);
  const request = new Map<string, "number" | "string" | "boolean">();
  const steps: Step[] = [];
  const stepOf = new Map<string, number>();
  for (const reference of ordered) stepOf.set(reference, steps.push(toStep(reference)) - 1);

  const layouts = new Map<string, LayoutBuilder>();
  const views = definitions.map((definition, index) => {
    const { source } = definition.body;
    const layout = layouts.get(source) ?? createLayout();
    layouts.set(source, layout);
    return planView(definition, aggregates[index]!, layout);
  });
  const outputs = features.map((reference) => stepOf.get(reference)!);
  return { features, views, layouts, request, evaluate };

  function toStep(reference: string): Step {
    const [viewName, name] = splitReference(reference);
    const view = names.indexOf(viewName);
    const { body } = definitions[view]!;
    const feature = body.features[name]!;
    if (!("expression" in feature)) return { view, aggregate: aggregates[view]!.push(name) - 1 };
    const expression = compileFeatureExpression(feature.expression);
    const operands = (expression.reads["f"] ?? [])
      .map((operand) => ({ name: operand, step: stepOf.get(toReference(viewName, operand))! }));
    const values = expression.reads["r"] ?? [];
    for (const value of values) request.set(value, body.request[value]!);
    return { view, expression, operands, onDemand: values.length > 0 };
  }

  function evaluate(dataOf: (view: ViewPlan) => ViewData, moment: Moment): FeatureRow {
    const sight = { atMs: moment.atMs, knownByMs: moment.knownByMs ?? moment.atMs };
    const ofViews = views.map((view) => view.evaluate(dataOf(view), sight));
    const values: AggregateValue[] = [];
    for (const step of steps) values.push(valueOf(step, { ofViews, values, request: moment.request ?? {} }));
    const row: FeatureRow = { values: [], statuses: [], eventTimes: [], approximate: [] };
    outputs.forEach((step, index) => {
      const { value, eventTime, approximate } = values[step]!;
      const { absent } = ofViews[steps[step]!.view]!;
      row.values.push(value);
      row.statuses.push(value === null ? absent ?? "NULL" : "PRESENT");
      row.eventTimes.push(eventTime);
      if (approximate) row.approximate.push(index);
    });
    return row;
  }
}

function valueOf(
  step: Step,
  { ofViews, values, request }: {
    ofViews: readonly ViewValues[];
    /** Of the steps before. */
    values: readonly AggregateValue[];
    request: RequestValues;
  },
): AggregateValue {
  const ofView = ofViews[step.view]!;
  if ("aggregate" in step) return ofView.values[step.aggregate]!;
  const result: AggregateValue = { value: null, eventTime: null, approximate: false };
  if (ofView.absent !== undefined && !step.onDemand) return result;
  const operands: Record<string, FeatureValue> = {};
  for (const { name, step: operand } of step.operands) {
    const { value, eventTime, approximate } = values[operand]!;
    operands[name] = value;
    result.eventTime = later(result.eventTime, eventTime);
    result.approximate ||= approximate;
  }
  return { ...result, value: evaluateExpression(step.expression, { f: operands, r: request }) };
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
