/** What a column of a training set holds, exactly. @module */
import type { ColumnStatistics } from "shared/contracts/feature_store.ts";
import type { TrainingSetColumn } from "shared/training_set_table.ts";
import { sortNumbers } from "./sort_numbers.ts";
import type { StatusCounts } from "./training_rows.ts";

const TOP_VALUES = 10;

/**
 * @param column its values are sorted where they lie
 * @param scratch room for as many
 */
export function describeColumn(
  column: TrainingSetColumn,
  { statuses, scratch }: { statuses: StatusCounts; scratch: Float64Array<ArrayBuffer> },
): ColumnStatistics {
  const { name, type = "number", categories } = column;
  const present = dropMissing(column.values);
  if (categories !== undefined) {
    const rows = new Array<number>(categories.length).fill(0);
    for (const code of present) rows[code]!++;
    const top = rows.map((count, code) => ({ value: categories[code]!, rows: count }))
      .sort((a, b) => b.rows - a.rows || (a.value < b.value ? -1 : 1));
    return { name, type, statuses, distinct: top.length, numbers: null, top: top.slice(0, TOP_VALUES) };
  }
  sortNumbers(present, scratch);
  return { name, type, statuses, distinct: countRuns(present), numbers: describeNumbers(present), top: [] };
}

/** The values that are there, moved to the front of where they lie. */
function dropMissing(values: Float64Array): Float64Array<ArrayBuffer> {
  let length = 0;
  for (const value of values) if (!Number.isNaN(value)) values[length++] = value;
  return values.subarray(0, length) as Float64Array<ArrayBuffer>;
}

/** A label, or what is carried: there or not. */
export function presence({ values }: TrainingSetColumn): StatusCounts {
  const nulls = values.reduce((count, value) => count + Number(Number.isNaN(value)), 0);
  return { PRESENT: values.length - nulls, NULL: nulls, NOT_FOUND: 0, EXPIRED: 0 };
}

function describeNumbers(sorted: Float64Array): ColumnStatistics["numbers"] {
  if (sorted.length === 0) return null;
  const at = (quantile: number) => sorted[Math.floor(quantile * (sorted.length - 1))]!;
  let mean = 0;
  // Of running means, which do not overflow.
  for (let index = 0; index < sorted.length; index++) mean += (sorted[index]! - mean) / (index + 1);
  return {
    min: sorted[0]!,
    max: sorted.at(-1)!,
    mean,
    p05: at(0.05),
    p25: at(0.25),
    p50: at(0.5),
    p75: at(0.75),
    p95: at(0.95),
  };
}

function countRuns(sorted: Float64Array): number {
  let runs = 0;
  for (let index = 0; index < sorted.length; index++) {
    if (index === 0 || sorted[index] !== sorted[index - 1]) runs++;
  }
  return runs;
}
