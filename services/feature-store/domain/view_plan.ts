import type { Feature, FeatureValue, ViewBody } from "shared/contracts/feature_store.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { AppError } from "shared/errors.ts";
import type { Expression } from "shared/expressions/cel.ts";
import { type Aggregate, aggregateValue, toFeatureValue } from "./aggregate.ts";
import { compileFeatureExpression, orderFeatures } from "./feature_order.ts";
import type { History, LayoutBuilder } from "./history.ts";
import { newestTime, selectRecords } from "./selection.ts";
import { defaultHopMs, windowStart } from "./time_grid.ts";

/** Records that several features look at: those of one window that pass one filter (-1: all). */
interface Slice {
  window: { lengthMs: number; hopMs: number } | null;
  filter: number;
}

type Step =
  | { name: string; slice: number; aggregate: Aggregate }
  | { name: string; expression: Expression; operands: readonly { name: string; step: number }[] };

/** Some features of a view, compiled. */
export interface ViewPlan {
  readonly name: string;
  readonly version: number;
  readonly entity: string;
  readonly source: string;
  readonly ttlMs: number | null;
  /** Where the longest window that ends at T begins; -Infinity when one has no beginning. */
  reachesBack(atMs: number): number;
  /** The asked features at T, in the order asked. */
  evaluate(history: History, atMs: number): ViewValues;
}

export interface ViewValues {
  /** The entity has no record by T, or its newest is older than the TTL: every value is null. */
  absent: "NOT_FOUND" | "EXPIRED" | undefined;
  values: FeatureValue[];
  /** Event time of the newest record behind each value. */
  eventTimes: (number | null)[];
}

/**
 * Compiles the asked features of a view into the layout of its source.
 *
 * @throws {AppError} `invalid` when an expression does not compile or reads what is not there
 */
export function planView(
  view: { name: string; version: number; body: ViewBody },
  asked: readonly string[],
  layout: LayoutBuilder,
): ViewPlan {
  const { name, version, body } = view;
  const slices: Slice[] = [];
  const steps: Step[] = [];
  const stepOf = new Map<string, number>();
  for (const feature of orderFeatures({ name, features: body.features }, asked)) {
    stepOf.set(feature, steps.push(compileStep(feature, body.features[feature]!)) - 1);
  }
  const outputs = asked.map((feature) => stepOf.get(feature)!);
  const ttlMs = body.ttl === null ? null : durationToMs(body.ttl);

  return {
    name,
    version,
    entity: body.entity,
    source: body.source,
    ttlMs,
    reachesBack: (at) => Math.min(at, ...slices.map((slice) => windowStart(at, slice.window))),
    evaluate,
  };

  function compileStep(feature: string, definition: Feature): Step {
    if ("expression" in definition) {
      const expression = compileFeatureExpression(definition.expression);
      const operands = (expression.reads["f"] ?? [])
        .map((operand) => ({ name: operand, step: stepOf.get(operand)! }));
      return { name: feature, expression, operands };
    }
    const aggregate: Aggregate = "field" in definition
      ? { kind: definition.aggregate, field: layout.field(definition.field) }
      : { kind: definition.aggregate };
    return { name: feature, slice: sliceOf(definition), aggregate };
  }

  function sliceOf(definition: Exclude<Feature, { expression: string }>): number {
    const filter = definition.where === undefined ? -1 : layout.filter(definition.where);
    const window = definition.window === null ? null : windowOf(definition.window, body.hop);
    const known = slices.findIndex((slice) =>
      slice.filter === filter && slice.window?.lengthMs === window?.lengthMs
    );
    return known >= 0 ? known : slices.push({ window, filter }) - 1;
  }

  function evaluate(history: History, at: number): ViewValues {
    const newest = newestTime(history, at, at);
    if (newest === undefined) return nothing("NOT_FOUND");
    if (ttlMs !== null && at - newest > ttlMs) return nothing("EXPIRED");

    const selected = slices.map(({ window, filter }) =>
      selectRecords(history, { after: windowStart(at, window), until: at, knownBy: at, filter })
    );
    const values: FeatureValue[] = [];
    const eventTimes: (number | null)[] = [];
    for (const step of steps) {
      if ("expression" in step) {
        const operands: Record<string, FeatureValue> = {};
        let newest: number | null = null;
        for (const operand of step.operands) {
          operands[operand.name] = values[operand.step]!;
          newest = later(newest, eventTimes[operand.step]!);
        }
        values.push(evaluateExpression(step.expression, operands));
        eventTimes.push(newest);
      } else {
        const positions = selected[step.slice]!;
        const last = positions[positions.length - 1];
        values.push(aggregateValue(step.aggregate, history, { positions, at }));
        eventTimes.push(last === undefined ? null : history.times[last]!);
      }
    }
    return {
      absent: undefined,
      values: outputs.map((step) => values[step]!),
      eventTimes: outputs.map((step) => eventTimes[step]!),
    };
  }

  function nothing(absent: "NOT_FOUND" | "EXPIRED"): ViewValues {
    const nulls = asked.map(() => null);
    return { absent, values: nulls, eventTimes: nulls };
  }
}

function windowOf(length: string, hop: string | undefined): { lengthMs: number; hopMs: number } {
  const lengthMs = durationToMs(length);
  return { lengthMs, hopMs: hop === undefined ? defaultHopMs(lengthMs) : durationToMs(hop) };
}

/** Null as well when the operands do not fit the expression, such as text times a number. */
function evaluateExpression(expression: Expression, operands: Record<string, FeatureValue>): FeatureValue {
  try {
    return toFeatureValue(expression.evaluate({ f: operands }));
  } catch (error) {
    if (error instanceof AppError && error.code === "unprocessable") return null;
    throw error;
  }
}

function later(a: number | null, b: number | null): number | null {
  return a === null || (b !== null && b > a) ? b : a;
}
