/** What is told of a training set besides its file. @module */
import type { ColumnStatistics, TrainingSetStatus } from "shared/contracts/feature_store.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import { describeColumn, presence } from "./domain/column_statistics.ts";
import type { History } from "./domain/history.ts";
import type { JoinedRows } from "./domain/joined_rows.ts";
import type { TrainingSetRequest } from "./repository/training_sets.ts";
import type { BuiltPart } from "./training_set_part.ts";
import type { TrainingSetPlan } from "./training_set_plan.ts";

type Result = NonNullable<TrainingSetStatus["result"]>;

/** A training set before it is stored: its name, and how far CLEAN was applied, are told by who stores it. */
export interface BuiltTrainingSet {
  file: Uint8Array;
  result: Omit<Result, "sha256" | "manifest"> & { manifest: Omit<Result["manifest"], "position"> };
  statistics: ColumnStatistics[];
}

/** Records read from a source, and their event times. */
export interface SourceRange {
  records: number;
  fromMs: number;
  toMs: number;
}

export const emptyRange = (): SourceRange => ({ records: 0, fromMs: Infinity, toMs: -Infinity });

export function extend(range: SourceRange, { length, times }: History): void {
  if (length === 0) return;
  merge(range, { records: length, fromMs: times[0]!, toMs: times[length - 1]! });
}

function merge(range: SourceRange, { records, fromMs, toMs }: SourceRange): void {
  range.records += records;
  range.fromMs = Math.min(range.fromMs, fromMs);
  range.toMs = Math.max(range.toMs, toMs);
}

export function describe(
  { rows, parts, statistics, bytes, plan, request }: {
    rows: JoinedRows;
    parts: readonly BuiltPart[];
    statistics: ColumnStatistics[];
    bytes: number;
    plan: TrainingSetPlan;
    request: TrainingSetRequest;
  },
): Omit<BuiltTrainingSet, "file"> {
  return {
    result: {
      bytes,
      rows: rows.length,
      immature: parts.reduce((sum, part) => sum + part.immature, 0),
      dropped: parts.reduce((sum, part) => sum + part.dropped, 0),
      manifest: {
        featureService: request.featureService,
        views: plan.features.plan.views.map(({ name, version }) => ({ name, version })),
        features: [...plan.features.plan.features],
        leads: Object.fromEntries(
          plan.features.plan.features.map((feature, index) => [feature, leadOf(index, parts)]),
        ),
        from: instant(rows.times.fromMs),
        to: instant(rows.times.toMs),
        clock: request.clock,
        asKnown: request.asKnown,
        sources: Object.fromEntries(
          [...plan.layouts.keys()].map((source) => [source, rangeOf(source, parts)]),
        ),
      },
    },
    statistics,
  };
}

function rangeOf(source: string, parts: readonly BuiltPart[]) {
  const range = emptyRange();
  for (const { sources } of parts) merge(range, sources.get(source)!);
  return { records: range.records, from: instant(range.fromMs), to: instant(range.toMs) };
}

function leadOf(feature: number, parts: readonly BuiltPart[]): number | null {
  const lead = parts.reduce((most, { leads }) => Math.max(most, leads[feature]!), -Infinity);
  return Number.isFinite(lead) ? lead : null;
}

/** Columns of values [first, end). */
export function describeColumns(rows: JoinedRows, first: number, end: number): ColumnStatistics[] {
  const scratch = new Float64Array(rows.length);
  return rows.columns(first, end)
    .map(({ column, statuses = presence(column) }) => describeColumn(column, { statuses, scratch }))
    .toArray();
}

const instant = (time: number): Instant | null => Number.isFinite(time) ? toInstant(time) : null;
