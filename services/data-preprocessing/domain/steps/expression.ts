import { messageOf } from "shared/errors.ts";
import { compileExpression, type Expression, type VariableType } from "shared/expressions/cel.ts";
import { type FieldType, type KnownFields, refuseUnusable } from "../known_fields.ts";
import type { CompiledStep } from "../record_state.ts";
import { fail, type StepOf } from "./step.ts";

const RESULT_TYPES: Readonly<Partial<Record<VariableType, FieldType>>> = {
  string: "text",
  double: "number",
  bool: "boolean",
  list: "list",
  map: "object",
};

/**
 * An expression over the record `e`.
 *
 * @throws {AppError} `invalid` when it cannot be compiled, or fits neither the fields there are nor their types
 */
export function recordExpression(
  source: string,
  known: KnownFields,
  gives: "boolean" | "value",
): { expression: Expression; reads: readonly string[] } {
  const options = { variables: { e: "map" }, fields: { e: known.expressionTypes }, gives } as const;
  const expression = compileExpression(source, options);
  const reads = expression.reads["e"] ?? [];
  known.require(reads);
  return { expression, reads };
}

/** Sets a field to the value of an expression. */
export function derive({ field, expression: source }: StepOf<"derive">, known: KnownFields): CompiledStep {
  refuseUnusable([field]);
  const { expression, reads } = recordExpression(source, known, "value");
  known.set(field, RESULT_TYPES[expression.gives]);
  return (state) => {
    const { data, failed } = state;
    if (failed.size > 0 && reads.some((name) => failed.has(name))) {
      failed.add(field);
      return;
    }
    try {
      data[field] = expression.evaluate({ e: data });
      failed.delete(field);
    } catch (error) {
      fail(state, field, messageOf(error));
    }
  };
}

/** Keeps the records for which an expression is true. */
export function filter({ expression: source, reason }: StepOf<"filter">, known: KnownFields): CompiledStep {
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
