/** Which records of a span a replay is about. @module */
import { AppError } from "shared/errors.ts";
import { compileExpression, type Expression } from "shared/expressions/cel.ts";

/** @throws {AppError} `invalid` when it can't give true or false, or can't be read */
export function compileFilter(where: string): Expression {
  return compileExpression(where, { variables: { e: "map" }, gives: "boolean" });
}

/** Whether the filter gives true. Where its data do not fit, such as text times a number, it does not. */
export function matchesFilter(filter: Expression | undefined, data: Record<string, unknown>): boolean {
  if (filter === undefined) return true;
  try {
    return filter.evaluate({ e: data }) === true;
  } catch (error) {
    if (error instanceof AppError && error.code === "unprocessable") return false;
    throw error;
  }
}
