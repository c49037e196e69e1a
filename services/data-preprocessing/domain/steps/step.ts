import { pathOf } from "shared/reason_text.ts";
import type { PureStep, RecordState } from "../record_state.ts";

/** The step of a kind, as it is declared. */
export type StepOf<Kind extends PureStep["step"]> = Extract<PureStep, { step: Kind }>;

/** The field holds no right value: the record will be quarantined, and what is made of the field is not judged. */
export function fail(state: RecordState, field: string, message: string): void {
  state.reasons.push({ path: pathOf(field), message });
  state.failed.add(field);
}

/**
 * Replaces the values of fields. Null, missing and failed ones stay as they are.
 *
 * @param change gives the new value; the old one where it called {@link fail}
 */
export function changeFields(
  state: RecordState,
  fields: readonly string[],
  change: (value: unknown, state: RecordState, field: string) => unknown,
): void {
  const { data, failed } = state;
  for (const field of fields) {
    const value = data[field];
    if (value === undefined || value === null || (failed.size > 0 && failed.has(field))) continue;
    const changed = change(value, state, field);
    if (changed !== value) data[field] = changed;
  }
}
