/** What is told of a training set besides its file. @module */
import type { ColumnStatistics, TrainingSetStatus } from "shared/contracts/feature_store.ts";
import { TRAINING_SET_COLUMN } from "shared/contracts/feature_store.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import type { TrainingSetColumn, TrainingSetTable } from "shared/training_set_table.ts";
import { describeColumn, presence } from "./domain/column_statistics.ts";
import type { StatusCounts, TrainingRows } from "./domain/training_rows.ts";
import type { TrainingSetRequest } from "./repository/training_sets.ts";
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

export function describe(
  { table, file, rows, plan, request, sources, statuses, dropped }: {
    table: TrainingSetTable;
    file: Uint8Array;
    rows: TrainingRows;
    plan: TrainingSetPlan;
    request: TrainingSetRequest;
    sources: ReadonlyMap<string, SourceRange>;
    statuses: readonly StatusCounts[];
    dropped: number;
  },
): Omit<BuiltTrainingSet, "file"> {
  const { times } = table;
  const extremes = times.reduce(([from, to], time) => [Math.min(from!, time), Math.max(to!, time)], [
    Infinity,
    -Infinity,
  ]);
  return {
    result: {
      bytes: file.byteLength,
      rows: rows.length,
      immature: rows.immature,
      dropped,
      manifest: {
        featureService: request.featureService,
        views: plan.features.plan.views.map(({ name, version }) => ({ name, version })),
        features: [...plan.features.plan.features],
        from: instant(extremes[0]!),
        to: instant(extremes[1]!),
        clock: request.clock,
        asKnown: request.asKnown,
        sources: Object.fromEntries(
          [...sources].map(([source, { records, fromMs, toMs }]) => [
            source,
            { records, from: instant(fromMs), to: instant(toMs) },
          ]),
        ),
      },
    },
    statistics: [
      describePresent(labelOf(table)),
      ...table.features.map((feature, index) => describeColumn(feature, statuses[index]!)),
      ...(table.carried ?? []).map(describePresent),
    ],
  };
}

const describePresent = (column: TrainingSetColumn) => describeColumn(column, presence(column));

function labelOf({ labels, labelCategories }: TrainingSetTable): TrainingSetColumn {
  const column = { name: TRAINING_SET_COLUMN.label, values: labels };
  return labelCategories === undefined ? column : { ...column, type: "text", categories: labelCategories };
}

const instant = (time: number): Instant | null => Number.isFinite(time) ? toInstant(time) : null;
