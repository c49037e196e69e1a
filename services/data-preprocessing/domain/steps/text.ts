import { invalid } from "shared/errors.ts";
import { compilePattern } from "shared/expressions/pattern.ts";
import { shown } from "shared/reason_text.ts";
import { type KnownFields, refuseUnusable, TEXT } from "../known_fields.ts";
import type { CompiledStep } from "../record_state.ts";
import { changeFields, fail, type StepOf } from "./step.ts";

/** Takes white space from both ends of text; what is no text stays. */
export function trim({ fields }: StepOf<"trim">, known: KnownFields): CompiledStep {
  known.require(fields, TEXT);
  const change = (value: unknown) => typeof value === "string" ? value.trim() : value;
  return (state) => changeFields(state, fields, change);
}

/** Changes the case of text, by no locale's rules; what is no text stays. */
export function changeCase({ fields, to }: StepOf<"case">, known: KnownFields): CompiledStep {
  known.require(fields, TEXT);
  // An instant in lower case is none.
  for (const field of fields) if (known.typeOf(field) === "instant") known.set(field, "text");
  const change = to === "lower"
    ? (value: unknown) => typeof value === "string" ? value.toLowerCase() : value
    : (value: unknown) => typeof value === "string" ? value.toUpperCase() : value;
  return (state) => changeFields(state, fields, change);
}

/** Sets a field to each named group of a pattern, where it is found first; to null where it is not found. */
export function extract(step: StepOf<"extract">, known: KnownFields): CompiledStep {
  const { field, missing } = step;
  known.require([field], TEXT);
  const pattern = compilePattern(step.pattern);
  const { groups } = pattern;
  if (groups.length === 0) {
    throw invalid(`has the pattern ${step.pattern} without a named group: (?P<name>...)`);
  }
  refuseUnusable(groups);
  for (const group of groups) known.set(group, "text");

  return (state) => {
    const { data, failed } = state;
    if (failed.has(field)) {
      for (const group of groups) failed.add(group);
      return;
    }
    const value = data[field] ?? null;
    const found = typeof value === "string" ? pattern.match(value) : undefined;
    if (found === undefined && value !== null && missing === "quarantine") {
      for (const group of groups) failed.add(group);
      fail(state, field, `must match ${step.pattern}, not ${shown(value)}`);
      return;
    }
    for (const group of groups) {
      data[group] = found?.[group] ?? null;
      failed.delete(group);
    }
  };
}
