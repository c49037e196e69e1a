import { shown } from "shared/reason_text.ts";
import { refuseBounds } from "../bounds.ts";
import {
  commonType,
  type KnownFields,
  NUMBERS,
  refuseUnusable,
  SCALARS,
  typeOfValue,
} from "../known_fields.ts";
import type { CompiledStep, RecordState } from "../record_state.ts";
import { changeFields, fail, type StepOf } from "./step.ts";

/** Sets fields that are missing or null. */
export function fill({ fields }: StepOf<"fill">, known: KnownFields): CompiledStep {
  const entries = Object.entries(fields);
  refuseUnusable(entries.map(([field]) => field));
  for (const [field, value] of entries) {
    const type = typeOfValue(value);
    known.set(field, known.isAbsent(field) ? type : commonType([known.typeOf(field), type]));
  }
  return ({ data, failed }) => {
    for (const [field, value] of entries) {
      if ((data[field] ?? null) === null && !failed.has(field)) data[field] = value;
    }
  };
}

/** Moves numbers to the nearer bound where they lie beyond it. */
export function clip(step: StepOf<"clip">, known: KnownFields): CompiledStep {
  const { fields, min = -Infinity, max = Infinity } = step;
  known.require(fields, NUMBERS);
  refuseBounds(step);
  const bounds = [step.min, step.max].filter((bound) => bound !== undefined).map(typeOfValue);
  for (const field of fields) known.set(field, commonType([known.typeOf(field) ?? "number", ...bounds]));
  const change = (value: unknown, state: RecordState, field: string) => {
    if (typeof value === "number") return Math.min(Math.max(value, min), max);
    fail(state, field, `must be a number, not ${shown(value)}`);
    return value;
  };
  return (state) => changeFields(state, fields, change);
}

/** Replaces a value by a table. Null is not looked up. */
export function mapValues({ field, values, otherwise }: StepOf<"map">, known: KnownFields): CompiledStep {
  known.require([field], SCALARS);
  const table = new Map(Object.entries(values));
  const mapped = [...table.values()].filter((value) => value !== null).map(typeOfValue);
  known.set(field, commonType(otherwise === "keep" ? [known.typeOf(field), ...mapped] : mapped));
  const expected = `must be one of ${shown([...table.keys()])}`;
  const change = (value: unknown, state: RecordState) => {
    const to = typeof value === "object" ? undefined : table.get(String(value));
    if (to !== undefined) return to;
    if (otherwise === "null") return null;
    if (otherwise === "quarantine") fail(state, field, `${expected}, not ${shown(value)}`);
    return value;
  };
  const fields = [field];
  return (state) => changeFields(state, fields, change);
}
