import type { Expectation } from "shared/contracts/data_preprocessing.ts";
import { invalid, messageOf } from "shared/errors.ts";
import { compilePattern } from "shared/expressions/pattern.ts";
import type { KnownFields } from "./known_fields.ts";
import { type CompiledExpectation, pathOf, type RecordState, shown } from "./record_state.ts";
import { recordExpression, requireFields } from "./steps.ts";

type ExpectationOf<Kind extends Expectation["expect"]> = Extract<Expectation, { expect: Kind }>;

/**
 * Compiles one expectation. About a null only `not_null` has a word; the others hold.
 *
 * @param known the fields that a clean record can have
 * @throws {AppError} `invalid` with what is wrong with the expectation
 */
export function compileExpectation(expectation: Expectation, known: KnownFields): CompiledExpectation {
  switch (expectation.expect) {
    case "not_null":
      return notNull(expectation, known);
    case "range":
      return ofField(expectation, known, rangeMistake(expectation));
    case "set":
      return ofField(expectation, known, setMistake(expectation));
    case "pattern":
      return ofField(expectation, known, patternMistake(expectation));
    case "row":
      return row(expectation, known);
  }
}

function complain(
  state: RecordState,
  { action }: Pick<Expectation, "action">,
  reason: { path: string; message: string },
): void {
  (action === "warn" ? state.warnings : state.reasons).push(reason);
}

function notNull(expectation: ExpectationOf<"not_null">, known: KnownFields): CompiledExpectation {
  requireFields(known, expectation.fields);
  return (state) => {
    for (const field of expectation.fields) {
      if (state.failed.has(field) || (state.data[field] ?? null) !== null) continue;
      complain(state, expectation, { path: pathOf(field), message: "must not be null" });
    }
  };
}

type Mistake = (value: unknown) => string | undefined;

function ofField(
  expectation: Extract<Expectation, { field: string }>,
  known: KnownFields,
  mistake: Mistake,
): CompiledExpectation {
  const { field } = expectation;
  requireFields(known, [field]);
  const path = pathOf(field);
  return (state) => {
    const value = state.data[field] ?? null;
    if (value === null || state.failed.has(field)) return;
    const message = mistake(value);
    if (message !== undefined) {
      complain(state, expectation, { path, message: `${message}, not ${shown(value)}` });
    }
  };
}

function rangeMistake({ min, max }: ExpectationOf<"range">): Mistake {
  if (min === undefined && max === undefined) throw invalid("must have a min or a max");
  if (min !== undefined && max !== undefined && min > max) {
    throw invalid(`has the min ${min} above the max ${max}`);
  }
  return (value) => {
    if (typeof value !== "number") return "must be a number";
    if (min !== undefined && value < min) return `must be at least ${min}`;
    if (max !== undefined && value > max) return `must be at most ${max}`;
    return undefined;
  };
}

function setMistake({ values }: ExpectationOf<"set">): Mistake {
  const accepted = new Set<unknown>(values);
  const message = `must be one of ${shown(values)}`;
  return (value) => accepted.has(value) ? undefined : message;
}

function patternMistake({ pattern: source }: ExpectationOf<"pattern">): Mistake {
  const pattern = compilePattern(source);
  return (value) => {
    if (typeof value !== "string") return "must be a text";
    return pattern.test(value) ? undefined : `must match ${source}`;
  };
}

function row(expectation: ExpectationOf<"row">, known: KnownFields): CompiledExpectation {
  const { expression, reads } = recordExpression(expectation.expression, known, "boolean");
  return (state) => {
    if (reads.some((field) => state.failed.has(field))) return;
    try {
      if (expression.evaluate({ e: state.data }) !== false) return;
      complain(state, expectation, { path: "", message: expectation.message });
    } catch (error) {
      complain(state, expectation, { path: "", message: `${expectation.message}: ${messageOf(error)}` });
    }
  };
}
