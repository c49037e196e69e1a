import type { Expectation, Step } from "shared/contracts/cleaning.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Reason } from "shared/errors.ts";

/** What a cleaning may know of a record's event. */
export interface RecordEvent {
  readonly id: string;
  readonly time: Instant;
  readonly knownAt: Instant;
}

/** A record on its way through a cleaning. */
export interface RecordState {
  /** Records of one array have the times of its event, and ids of their own. */
  readonly event: RecordEvent;
  data: DataRecord;
  /** Why it must be quarantined. */
  reasons: Reason[];
  /** Expectations that failed, and only warn. */
  warnings: Reason[];
  /** Fields that hold no right value: what is made of them is not judged, or one mistake would be told twice. */
  failed: Set<string>;
  /** Whether an expectation failed whose action is `block`. Its reason stands in `reasons` too. */
  blocked: boolean;
}

/** Steps that look at many records together, and may remember earlier ones (domain/stages/). */
export type StageStep = Extract<Step, { step: "explode" | "enrich" | "deduplicate" }>;
/** Steps whose result depends on nothing but the record (domain/steps/). */
export type PureStep = Exclude<Step, StageStep>;

/** What holds for many clean records, or for none that came. */
export type WindowExpectation = Extract<Expectation, { expect: "freshness" | "volume" | "window" }>;
/** What holds among records, by what is remembered of earlier ones. */
export type UniqueExpectation = Extract<Expectation, { expect: "unique" }>;
/** What holds for a record by itself (domain/expectations/). */
export type RowExpectation = Exclude<Expectation, WindowExpectation | UniqueExpectation>;

/** A step that was compiled: pure, and never throws. @returns the reason when the record is filtered out */
export type CompiledStep = (state: RecordState) => string | void;

/** An expectation that was compiled. */
export type CompiledExpectation = (state: RecordState) => void;
