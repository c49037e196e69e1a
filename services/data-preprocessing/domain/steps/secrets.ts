import { invalid } from "shared/errors.ts";
import { isHashed, type Privacy } from "shared/privacy.ts";
import { type KnownFields, SCALARS } from "../known_fields.ts";
import type { CompiledStep, RecordState } from "../record_state.ts";
import { changeFields, fail, type StepOf } from "./step.ts";

type Scalar = string | number | boolean;

function isScalar(value: unknown): value is Scalar {
  return ["string", "number", "boolean"].includes(typeof value);
}

/** Replaces values by their keyed hash. What data-ingestion has hashed already stays, so that both are equal. */
export function hash(
  { fields }: StepOf<"hash">,
  known: KnownFields,
  { privacy }: { privacy: Privacy | undefined },
): CompiledStep {
  known.require(fields, SCALARS);
  if (privacy === undefined) {
    throw invalid("needs a key, and the service has none: it must be given SECRETS_KEY");
  }
  for (const field of fields) known.set(field, "text");
  return hiding(fields, (value) => isHashed(value) ? value : privacy.hash(value));
}

/** Replaces all but the last characters of values, numbers included, by `*`. */
export function mask({ fields, keep }: StepOf<"mask">, known: KnownFields): CompiledStep {
  known.require(fields, SCALARS);
  for (const field of fields) known.set(field, "text");
  return hiding(fields, (value) => {
    // By code points, so that no character is cut in two.
    const characters = Array.from(String(value));
    const hidden = Math.max(0, characters.length - keep);
    return "*".repeat(hidden) + characters.slice(hidden).join("");
  });
}

function hiding(fields: readonly string[], hidden: (value: Scalar) => string): CompiledStep {
  const change = (value: unknown, state: RecordState, field: string) => {
    if (isScalar(value)) return hidden(value);
    // The reason must not show what was to be hidden.
    fail(state, field, "must be a text, a number or true or false, to be hidden");
    return value;
  };
  return (state) => changeFields(state, fields, change);
}
