import { invalid } from "shared/errors.ts";
import { toInstant } from "shared/contracts/time.ts";

export interface SplitOptions {
  /** The label of a row at T looks at (T, T + horizon]. */
  horizonMs: number;
  /** The test part begins this long before the newest observation (the newest T belongs to it). */
  testMs: number;
  /** Length of the validation part before the test part, for early stopping; default: none. */
  validationMs?: number;
}

/** Row numbers of each part, in their original order, and what was left out for the gaps. */
export interface TimeSplit {
  train: Int32Array;
  validation: Int32Array;
  test: Int32Array;
  /** Rows in no part: their label window crosses a border. */
  dropped: number;
  /** Newest T of the training part, first and newest T of the test part, milliseconds since 1970. */
  trainUntil: number;
  testFrom: number;
  testUntil: number;
}

/**
 * Splits by time, oldest rows to the training part. A row belongs to a part only if its label was settled when the
 * next part's first observation was made (T + horizon <= that T): a model judged on the later part has then
 * learnt nothing from it, and neither has early stopping.
 *
 * @param times T of each row, milliseconds since 1970, in any order
 * @throws {AppError} `invalid` when a part would be empty
 */
export function splitByTime(times: Float64Array, options: SplitOptions): TimeSplit {
  const { horizonMs, testMs, validationMs = 0 } = options;
  if (times.length === 0) throw invalid("Cannot split the rows by time: there are none");
  const all = Int32Array.from(times, (_, row) => row);
  const test = cutTail(times, all, { lengthMs: testMs, horizonMs });
  requireRows(test.before, "training", { horizonMs, border: test.from });
  const validation = validationMs > 0
    ? cutTail(times, test.before, { lengthMs: validationMs, horizonMs })
    : undefined;
  if (validation) requireRows(validation.before, "training", { horizonMs, border: validation.from });
  const train = validation?.before ?? test.before;
  return {
    train,
    validation: validation?.tail ?? new Int32Array(0),
    test: test.tail,
    dropped: times.length - train.length - test.tail.length - (validation?.tail.length ?? 0),
    trainUntil: extremes(times, train).last,
    testFrom: test.from,
    testUntil: extremes(times, test.tail).last,
  };
}

interface Cut {
  before: Int32Array;
  tail: Int32Array;
  from: number;
}

function cutTail(times: Float64Array, rows: Int32Array, cut: { lengthMs: number; horizonMs: number }): Cut {
  const border = extremes(times, rows).last - cut.lengthMs;
  const tail = rows.filter((row) => times[row]! > border);
  // Labels must be settled by the first observation there is, which may be later than the border.
  const from = extremes(times, tail).first;
  const before = rows.filter((row) => times[row]! < from && times[row]! + cut.horizonMs <= from);
  return { before, tail, from };
}

function requireRows(rows: Int32Array, part: string, cut: { horizonMs: number; border: number }): void {
  if (rows.length > 0) return;
  throw invalid(
    `Cannot split the rows by time: the ${part} part is empty, no label of ${
      cut.horizonMs / 86_400_000
    } days was settled by ${toInstant(cut.border)}, where the next part begins`,
  );
}

function extremes(times: Float64Array, rows: Int32Array): { first: number; last: number } {
  let first = Infinity;
  let last = -Infinity;
  for (const row of rows) {
    first = Math.min(first, times[row]!);
    last = Math.max(last, times[row]!);
  }
  return { first, last };
}
