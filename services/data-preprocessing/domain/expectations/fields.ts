import { invalid } from "shared/errors.ts";
import { compilePattern } from "shared/expressions/pattern.ts";
import { pathOf, shown } from "shared/reason_text.ts";
import { refuseBounds } from "../bounds.ts";
import { commonType, type KnownFields, NUMBERS, TEXT, typeOfValue } from "../known_fields.ts";
import type { CompiledExpectation, RowExpectation } from "../record_state.ts";
import { complain, type ExpectationOf } from "./complain.ts";

export function notNull(expectation: ExpectationOf<"not_null">, known: KnownFields): CompiledExpectation {
  const { fields } = expectation;
  known.require(fields);
  return (state) => {
    for (const field of fields) {
      if ((state.data[field] ?? null) !== null || state.failed.has(field)) continue;
      complain(state, expectation, { path: pathOf(field), message: "must not be null" });
    }
  };
}

/** @returns what the value must be; nothing when it is */
export type Mistake = (value: unknown) => string | undefined;

/** Holds against a field's value, null apart. */
export function ofField(
  expectation: Extract<RowExpectation, { field: string }>,
  mistake: Mistake,
): CompiledExpectation {
  const { field } = expectation;
  const path = pathOf(field);
  return (state) => {
    const value = state.data[field] ?? null;
    if (value === null) return;
    const message = mistake(value);
    if (message === undefined || state.failed.has(field)) return;
    complain(state, expectation, { path, message: `${message}, not ${shown(value)}` });
  };
}

export function rangeMistake(expectation: ExpectationOf<"range">, known: KnownFields): Mistake {
  const { field, min, max } = expectation;
  known.require([field], NUMBERS);
  refuseBounds(expectation);
  return (value) => {
    if (typeof value !== "number") return "must be a number";
    if (min !== undefined && value < min) return `must be at least ${min}`;
    if (max !== undefined && value > max) return `must be at most ${max}`;
    return undefined;
  };
}

export function setMistake({ field, values }: ExpectationOf<"set">, known: KnownFields): Mistake {
  known.require([field]);
  const type = known.typeOf(field);
  const canHold = (value: unknown) =>
    type === undefined || commonType([type, typeOfValue(value)]) !== undefined;
  if (!values.some(canHold)) {
    throw invalid(
      `cannot hold: none of ${shown(values)} is of the type of the field "${field}", ${type ?? "any"}`,
    );
  }
  const accepted = new Set<unknown>(values);
  const message = `must be one of ${shown(values)}`;
  return (value) => accepted.has(value) ? undefined : message;
}

export function patternMistake(
  { field, pattern: source }: ExpectationOf<"pattern">,
  known: KnownFields,
): Mistake {
  known.require([field], TEXT);
  const pattern = compilePattern(source);
  return (value) => {
    if (typeof value !== "string") return "must be a text";
    return pattern.test(value) ? undefined : `must match ${source}`;
  };
}
