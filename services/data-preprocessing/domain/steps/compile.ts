import type { Privacy } from "shared/privacy.ts";
import type { KnownFields } from "../known_fields.ts";
import type { CompiledStep, PureStep } from "../record_state.ts";
import { castFields, parseNumber, parseTimes } from "./convert.ts";
import { derive, filter } from "./expression.ts";
import { hash, mask } from "./secrets.ts";
import { rename, select } from "./shape.ts";
import { changeCase, extract, trim } from "./text.ts";
import { clip, fill, mapValues } from "./values.ts";

/** What a step is compiled with. */
export interface StepContext {
  /** What can be read before the step; afterwards, what can be read after it. */
  known: KnownFields;
  /** Absent: the service has no key, and steps that need one are refused. */
  privacy: Privacy | undefined;
}

/** Compiles one step, of those that look at nothing but the record. @throws {AppError} `invalid` with what is wrong with it */
export function compileStep(step: PureStep, { known, privacy }: StepContext): CompiledStep {
  switch (step.step) {
    case "select":
      return select(step, known);
    case "rename":
      return rename(step, known);
    case "trim":
      return trim(step, known);
    case "case":
      return changeCase(step, known);
    case "cast":
      return castFields(step, known);
    case "parse_time":
      return parseTimes(step, known);
    case "parse_number":
      return parseNumber(step, known);
    case "fill":
      return fill(step, known);
    case "clip":
      return clip(step, known);
    case "map":
      return mapValues(step, known);
    case "derive":
      return derive(step, known);
    case "filter":
      return filter(step, known);
    case "extract":
      return extract(step, known);
    case "hash":
      return hash(step, known, { privacy });
    case "mask":
      return mask(step, known);
  }
}
