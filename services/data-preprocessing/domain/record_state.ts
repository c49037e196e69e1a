import type { DataRecord } from "shared/contracts/envelope.ts";
import type { Reason } from "shared/errors.ts";

/** A record on its way through a cleaning. */
export interface RecordState {
  data: DataRecord;
  /** Why it must be quarantined. */
  reasons: Reason[];
  /** Expectations that failed, and only warn. */
  warnings: Reason[];
  /** Fields that hold no right value: what is made of them is not judged, or one mistake would be told twice. */
  failed: Set<string>;
}

/** A step that was compiled. @returns the reason when the record is filtered out */
export type CompiledStep = (state: RecordState) => string | void;

/** An expectation that was compiled. */
export type CompiledExpectation = (state: RecordState) => void;

/** A field's place in a record, as a JSON pointer. */
export function pathOf(field: string): string {
  return `/${field.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** A value as it may stand in a reason. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length <= 100 ? text : `${text.slice(0, 97)}...`;
}
