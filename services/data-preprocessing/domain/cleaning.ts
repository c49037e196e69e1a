import { type CleaningBody, cleaningBodySchema } from "shared/contracts/data_preprocessing.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";
import { messageOf, type Reason } from "shared/errors.ts";
import { invalidInput } from "shared/validation.ts";
import { compileExpectation } from "./expectations.ts";
import { KnownFields } from "./known_fields.ts";
import type { CompiledExpectation, CompiledStep, RecordState } from "./record_state.ts";
import { compileStep } from "./steps.ts";

/** What a cleaning makes of a record. */
export type Cleaned =
  /** `warnings`: expectations that failed without holding it back. */
  | { outcome: "clean"; data: DataRecord; warnings: Reason[] }
  | { outcome: "filtered"; reason: string }
  /** Every failure, not only the first. */
  | { outcome: "quarantined"; reasons: Reason[] };

/** Pure: the same record gives the same result, and is not changed. */
export type Cleaning = (record: DataRecord) => Cleaned;

/** What a source without a cleaning does. */
export const passThrough: Cleaning = (data) => ({ outcome: "clean", data, warnings: [] });

/**
 * Compiles a cleaning: its steps in order, then its expectations.
 *
 * @throws {AppError} `invalid` with every mistake in expressions, patterns and names, by its place in the body
 */
export function compileCleaning(body: CleaningBody): Cleaning {
  const parsed = cleaningBodySchema.parse(body);
  const reasons: Reason[] = [];
  const fields = new KnownFields();
  const compiled = <In, Out>(path: string, items: readonly In[], compile: (item: In) => Out): Out[] =>
    items.flatMap((item, index) => {
      try {
        return [compile(item)];
      } catch (error) {
        reasons.push({ path: `/${path}/${index}`, message: messageOf(error) });
        return [];
      }
    });
  const steps = compiled("steps", parsed.steps, (step) => compileStep(step, fields));
  const expectations = compiled(
    "expectations",
    parsed.expectations,
    (one) => compileExpectation(one, fields),
  );
  if (reasons.length > 0) throw invalidInput("use the cleaning", reasons);
  return (record) => clean(record, { steps, expectations });
}

/** With its envelope a record must fit into one NATS message; one that does not would hold back its whole batch. */
const MAX_RECORD_BYTES = 900_000;

const encoder = new TextEncoder();

/** Measured only where the number of characters leaves it open. */
function isTooLarge(data: DataRecord): boolean {
  let most = 0;
  for (const [name, value] of Object.entries(data)) {
    if (typeof value === "string" && value.length > MAX_RECORD_BYTES) return true;
    const characters = typeof value === "object" ? JSON.stringify(value).length : String(value).length;
    // A control character takes six bytes.
    most += 6 * (name.length + characters) + 4;
  }
  return most > MAX_RECORD_BYTES && encoder.encode(JSON.stringify(data)).length > MAX_RECORD_BYTES;
}

function clean(
  record: DataRecord,
  { steps, expectations }: { steps: readonly CompiledStep[]; expectations: readonly CompiledExpectation[] },
): Cleaned {
  const state: RecordState = { data: { ...record }, reasons: [], warnings: [], failed: new Set() };
  for (const step of steps) {
    const filtered = step(state);
    if (filtered !== undefined) return { outcome: "filtered", reason: filtered };
  }
  // Not judged as well: patterns would run over all of it.
  if (isTooLarge(state.data)) {
    const message = `has more than ${MAX_RECORD_BYTES} bytes after its steps`;
    return { outcome: "quarantined", reasons: [...state.reasons, { path: "", message }] };
  }
  for (const expectation of expectations) expectation(state);
  const { data, reasons, warnings } = state;
  return reasons.length > 0 ? { outcome: "quarantined", reasons } : { outcome: "clean", data, warnings };
}
