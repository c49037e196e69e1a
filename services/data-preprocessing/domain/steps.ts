import type { Step } from "shared/contracts/data_preprocessing.ts";
import { invalid, messageOf } from "shared/errors.ts";
import { compileExpression, type Expression } from "shared/expressions/cel.ts";
import { cast } from "./cast.ts";
import { isUnusable, type KnownFields } from "./known_fields.ts";
import { type CompiledStep, pathOf, type RecordState, shown } from "./record_state.ts";

type StepOf<Kind extends Step["step"]> = Extract<Step, { step: Kind }>;

/**
 * Compiles one step.
 *
 * @param fields what can be read before it; afterwards, what can be read after it
 * @throws {AppError} `invalid` with what is wrong with the step
 */
export function compileStep(step: Step, fields: KnownFields): CompiledStep {
  switch (step.step) {
    case "select":
      return select(step, fields);
    case "rename":
      return rename(step, fields);
    case "trim":
      return trim(step, fields);
    case "cast":
      return castFields(step, fields);
    case "fill":
      return fill(step, fields);
    case "derive":
      return derive(step, fields);
    case "filter":
      return filter(step, fields);
  }
}

/** @throws {AppError} `invalid` when a field cannot be there */
export function requireFields(known: KnownFields, fields: readonly string[]): void {
  const mistakes = known.mistakes(fields);
  if (mistakes.length > 0) throw invalid(mistakes.join("; "));
}

/** @throws {AppError} `invalid` when a field has a name that every JavaScript object has already */
function refuseUnusable(fields: readonly string[]): void {
  const unusable = fields.find(isUnusable);
  if (unusable !== undefined) throw invalid(`names the field "${unusable}", which cannot be used`);
}

/** An expression over the record `e`. */
export function recordExpression(
  source: string,
  known: KnownFields,
  gives: "boolean" | "value",
): { expression: Expression; reads: readonly string[] } {
  const expression = compileExpression(source, { variables: { e: "map" }, gives });
  const reads = expression.reads["e"] ?? [];
  requireFields(known, reads);
  return { expression, reads };
}

function select({ fields }: StepOf<"select">, known: KnownFields): CompiledStep {
  requireFields(known, fields);
  known.keepOnly(fields);
  return (state) => {
    const { data } = state;
    state.data = Object.fromEntries(
      fields.flatMap((name) => Object.hasOwn(data, name) ? [[name, data[name]]] : []),
    );
  };
}

function rename({ fields }: StepOf<"rename">, known: KnownFields): CompiledStep {
  const entries = Object.entries(fields);
  const targets = entries.map(([, to]) => to);
  requireFields(known, entries.map(([from]) => from));
  const twice = targets.find((to, index) => targets.indexOf(to) !== index);
  if (twice !== undefined) throw invalid(`renames two fields to "${twice}"`);
  refuseUnusable(targets);
  known.remove(entries.map(([from]) => from));
  known.add(targets);
  return (state) => {
    const { data, failed } = state;
    // All at once, so that two fields can change places.
    const moved = entries.filter(([from]) => Object.hasOwn(data, from)).map(([from, to]) => ({
      to,
      value: data[from],
      failed: failed.has(from),
    }));
    for (const [from] of entries) {
      delete data[from];
      failed.delete(from);
    }
    for (const field of moved) {
      data[field.to] = field.value;
      if (field.failed) failed.add(field.to);
    }
  };
}

function trim({ fields }: StepOf<"trim">, known: KnownFields): CompiledStep {
  requireFields(known, fields);
  return ({ data }) => {
    for (const field of fields) {
      const value = data[field];
      if (typeof value === "string") data[field] = value.trim();
    }
  };
}

function castFields({ fields, to }: StepOf<"cast">, known: KnownFields): CompiledStep {
  requireFields(known, fields);
  return (state) => {
    for (const field of fields) {
      const value = state.data[field];
      if (value === undefined || state.failed.has(field)) continue;
      const result = cast(value, to);
      if ("value" in result) state.data[field] = result.value;
      else fail(state, field, `must be ${result.expected}, not ${shown(value)}`);
    }
  };
}

function fail(state: RecordState, field: string, message: string): void {
  state.reasons.push({ path: pathOf(field), message });
  state.failed.add(field);
}

function fill({ fields }: StepOf<"fill">, known: KnownFields): CompiledStep {
  const entries = Object.entries(fields);
  refuseUnusable(entries.map(([field]) => field));
  known.add(entries.map(([field]) => field));
  return ({ data, failed }) => {
    for (const [field, value] of entries) {
      if ((data[field] ?? null) === null && !failed.has(field)) data[field] = value;
    }
  };
}

function derive({ field, expression: source }: StepOf<"derive">, known: KnownFields): CompiledStep {
  refuseUnusable([field]);
  const { expression, reads } = recordExpression(source, known, "value");
  known.add([field]);
  return (state) => {
    if (reads.some((name) => state.failed.has(name))) {
      state.failed.add(field);
      return;
    }
    try {
      state.data[field] = expression.evaluate({ e: state.data });
      state.failed.delete(field);
    } catch (error) {
      fail(state, field, messageOf(error));
    }
  };
}

function filter({ expression: source, reason }: StepOf<"filter">, known: KnownFields): CompiledStep {
  const { expression } = recordExpression(source, known, "boolean");
  return (state) => {
    // What is wrong with the record is worth more than that it would not have been kept.
    if (state.reasons.length > 0) return undefined;
    try {
      return expression.evaluate({ e: state.data }) === true ? undefined : reason;
    } catch (error) {
      state.reasons.push({ path: "", message: messageOf(error) });
      return undefined;
    }
  };
}
