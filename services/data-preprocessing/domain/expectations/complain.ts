import type { Reason } from "shared/errors.ts";
import type { RecordState, RowExpectation } from "../record_state.ts";

/** The expectation of a kind, as it is declared. */
export type ExpectationOf<Kind extends RowExpectation["expect"]> = Extract<RowExpectation, { expect: Kind }>;

/** The expectation does not hold: its action says what that means for the record. */
export function complain(
  state: RecordState,
  { action }: Pick<RowExpectation, "action">,
  reason: Reason,
): void {
  if (action === "warn") {
    state.warnings.push(reason);
    return;
  }
  state.reasons.push(reason);
  if (action === "block") state.blocked = true;
}
