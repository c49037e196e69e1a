import type { Slice } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import type { Dataset } from "../dataset.ts";
import { evaluate, type ScoredRows } from "./metrics.ts";

export interface SliceOptions {
  /** Most slices a feature; default: 10. Of a category the most frequent texts, of a number ranges of equal content. */
  most?: number;
  /** Slices of fewer rows say nothing; default: 30. */
  minRows?: number;
  /** The interval of a metric on some of the rows; default: none is told. */
  intervalOf?: (rows: Int32Array) => Slice["interval"];
}

/** The metrics on the slices of a feature, the largest slices first. */
export function evaluateSlices(
  task: Task,
  scored: ScoredRows,
  { dataset, feature }: { dataset: Dataset; feature: number },
  options: SliceOptions = {},
): Slice[] {
  const { most = 10, minRows = 30, intervalOf = () => null } = options;
  const { names, sliceOf } = dataset.dictionaries[feature]
    ? byText(dataset, feature)
    : byRange(dataset, feature, { most, minRows });
  const sizes = names.map(() => 0);
  for (let row = 0; row < dataset.rows; row++) sizes[sliceOf(row)]!++;
  const chosen = [...names.keys()].filter((slice) => sizes[slice]! >= minRows)
    .sort((a, b) => sizes[b]! - sizes[a]! || a - b).slice(0, most);
  return chosen.map((slice) => {
    const weights = Float64Array.from({ length: dataset.rows }, (_, row) => sliceOf(row) === slice ? 1 : 0);
    const rows = Int32Array.from(weights, (_, row) => row).filter((row) => weights[row] === 1);
    return {
      feature: dataset.featureNames[feature]!,
      value: names[slice]!,
      rows: sizes[slice]!,
      metrics: evaluate(task, scored, weights),
      interval: intervalOf(rows),
    };
  });
}

interface Slicing {
  names: string[];
  sliceOf: (row: number) => number;
}

function byText({ dictionaries, columns }: Dataset, feature: number): Slicing {
  const column = columns[feature]!;
  return { names: ["missing", ...dictionaries[feature]!], sliceOf: (row) => column[row]! };
}

/** Ranges of equal content, fewer where the rows are few: each must have enough of them to be told. */
function byRange(
  { columns }: Dataset,
  feature: number,
  { most, minRows }: { most: number; minRows: number },
): Slicing {
  const column = columns[feature]!;
  const sorted = column.filter((value) => !Number.isNaN(value)).sort();
  // An edge belongs to the lower range, and so the last one may be short of a row.
  const ranges = Math.max(1, Math.min(most, Math.floor(sorted.length / (minRows + 1))));
  const edges = [
    ...new Set(
      Array.from({ length: ranges - 1 }, (_, i) => sorted[Math.floor((i + 1) * sorted.length / ranges)]!),
    ),
  ].filter((edge) => edge !== undefined && edge < sorted.at(-1)!);
  const shown = (value: number) => String(Number(value.toPrecision(6)));
  const names = edges.length === 0 ? ["all"] : [
    `<= ${shown(edges[0]!)}`,
    ...edges.slice(1).map((edge, i) => `(${shown(edges[i]!)}, ${shown(edge)}]`),
    `> ${shown(edges.at(-1)!)}`,
  ];
  const sliceOf = (row: number) => {
    const value = column[row]!;
    if (Number.isNaN(value)) return names.length;
    const slice = edges.findIndex((edge) => value <= edge);
    return slice < 0 ? edges.length : slice;
  };
  return { names: [...names, "missing"], sliceOf: (row) => Math.min(sliceOf(row), names.length) };
}
