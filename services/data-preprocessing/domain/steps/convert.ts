import { shown } from "shared/reason_text.ts";
import { cast, type CastType } from "../cast.ts";
import { type FieldType, type KnownFields, NUMBERS, SCALARS, TEXT } from "../known_fields.ts";
import { compileNumberFormat } from "../number_format.ts";
import type { CompiledStep, RecordState } from "../record_state.ts";
import { compileTimeFormat } from "shared/time_formats/time_format.ts";
import { changeFields, fail, type StepOf } from "./step.ts";

/** What can become what; of text, some always can. */
const CASTS: Readonly<Record<CastType, { from: readonly FieldType[]; type: FieldType }>> = {
  string: { from: SCALARS, type: "text" },
  integer: { from: ["text", ...NUMBERS], type: "integer" },
  number: { from: ["text", ...NUMBERS], type: "number" },
  boolean: { from: ["text", ...NUMBERS, "boolean"], type: "boolean" },
  instant: { from: [...TEXT, ...NUMBERS], type: "instant" },
};

/** Text, numbers and booleans as another type. Empty text becomes null. */
export function castFields({ fields, to }: StepOf<"cast">, known: KnownFields): CompiledStep {
  const { from, type } = CASTS[to];
  known.require(fields, from);
  for (const field of fields) known.set(field, type);
  const change = (value: unknown, state: RecordState, field: string) => {
    const result = cast(value, to);
    if ("value" in result) return result.value;
    fail(state, field, `must be ${result.expected}, not ${shown(value)}`);
    return value;
  };
  return (state) => changeFields(state, fields, change);
}

/** Text in a declared format as an instant. Empty text becomes null. */
export function parseTimes(step: StepOf<"parse_time">, known: KnownFields): CompiledStep {
  const { fields } = step;
  known.require(fields, TEXT);
  const format = compileTimeFormat(step.format, step);
  for (const field of fields) known.set(field, "instant");
  const expected = `must be a time as ${format.example}, in the format ${step.format}`;
  const change = (value: unknown, state: RecordState, field: string) => {
    if (value === "") return null;
    const instant = typeof value === "string" ? format.read(value.trim()) : undefined;
    if (instant === undefined) fail(state, field, `${expected}, not ${shown(value)}`);
    return instant ?? value;
  };
  return (state) => changeFields(state, fields, change);
}

/** Text as a locale writes numbers as a number. Empty text becomes null, and numbers stay. */
export function parseNumber({ fields, locale }: StepOf<"parse_number">, known: KnownFields): CompiledStep {
  known.require(fields, ["text", ...NUMBERS]);
  const format = compileNumberFormat(locale);
  for (const field of fields) known.set(field, "number");
  const expected = `must be a number as ${format.example}, in the locale ${locale}`;
  const change = (value: unknown, state: RecordState, field: string) => {
    if (value === "") return null;
    const number = typeof value === "string" ? format.read(value) : value;
    if (typeof number === "number") return number;
    fail(state, field, `${expected}, not ${shown(value)}`);
    return value;
  };
  return (state) => changeFields(state, fields, change);
}
