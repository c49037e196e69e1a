import type { ComparedSlice, Gate, Metric } from "shared/contracts/model_training.ts";
import type { ReferenceBins } from "shared/contracts/signature.ts";
import { binIndex } from "shared/reference_bins.ts";
import { METRICS, metricValue, scoreRows } from "./evaluation/metrics.ts";

/** What a model answers to the rows. */
export interface Answers {
  /** Numbered by its own classes, which need not be those of another version. */
  labels: Float64Array;
  outputs: Float64Array;
}

/** Of the same rows, which are later than what either model was trained on. */
export interface GateInput {
  metric: Metric;
  /** That regressions aim at. */
  quantile?: number | undefined;
  candidate: Answers;
  /** Null when there is no champion yet. */
  champion: Answers | null;
  /** Of the prior of the candidate's training part. */
  baseline: Answers;
  /** The features that the gate cuts into slices. */
  sliced?: readonly SlicedFeature[];
}

export interface SlicedFeature {
  /** Of the rows that are judged; of a category the number of its text in the bins; NaN is missing. */
  values: ArrayLike<number>;
  /** Where it is cut, by the candidate's reference bins. */
  bins: ReferenceBins;
}

/** The numbers a decision rests on, and why it fell as it did. */
export interface GateDecision {
  passed: boolean;
  rows: number;
  candidateValue: number | null;
  championValue: number | null;
  baselineValue: number | null;
  /** How much better the candidate is than the champion, in the metric's unit; negative when it is worse. */
  gain: number | null;
  /** Worst first. */
  slices: ComparedSlice[];
  /** One sentence a condition: those that failed or, when it passed, what it rests on. */
  reasons: string[];
}

/**
 * Decides whether the candidate may take the champion's place. It must be better than the champion and than the
 * trivial baseline (an equal one is no reason to move), each by what the gate demands, on at least as many rows as
 * it demands. Where there is no champion yet, it must still be better than the baseline: an alias that points to
 * nothing is no reason to serve a model that has learnt nothing.
 *
 * @throws {AppError} `invalid` when the metric is not defined on the rows, such as AUC on one class
 */
export function decideGate(gate: Gate, input: GateInput): GateDecision {
  const { metric, quantile, champion } = input;
  const rows = input.candidate.labels.length;
  if (rows < gate.minRows) {
    return {
      passed: false,
      rows,
      candidateValue: null,
      championValue: null,
      baselineValue: null,
      gain: null,
      slices: [],
      reasons: [`The comparison has ${rows} rows, the gate demands at least ${gate.minRows}`],
    };
  }
  const valueOf = ({ labels, outputs }: Answers) => metricValue(metric, scoreRows(labels, outputs, quantile));
  const candidateValue = valueOf(input.candidate);
  const baselineValue = valueOf(input.baseline);
  const belowBaseline = missedGains(metric, {
    rival: "baseline",
    rivalValue: baselineValue,
    gain: improvement(metric, candidateValue, baselineValue),
    minimum: 0,
    minimumShare: gate.minBaselineGain,
  });
  const failures = [...belowThreshold(gate, metric, candidateValue), ...belowBaseline];
  const numbers = { rows, candidateValue, baselineValue };
  const values = `The candidate's ${metric} is ${format(candidateValue)}, the baseline's ${
    format(baselineValue)
  }`;
  if (champion === null) {
    const merit = `${values} on ${rows} rows: there is no champion to compare with`;
    return { ...numbers, championValue: null, gain: null, slices: [], ...conclude(failures, merit) };
  }

  const championValue = valueOf(champion);
  const gain = improvement(metric, candidateValue, championValue);
  const belowChampion = missedGains(metric, {
    rival: "champion",
    rivalValue: championValue,
    gain,
    minimum: gate.minAbsoluteGain,
    minimumShare: gate.minRelativeGain,
  });
  const merit = `${values}, the champion's ${format(championValue)}: better by ${
    format(gain)
  } on ${rows} rows`;
  const slices = compareSlices(gate, { ...input, champion });
  const all = [...belowChampion, ...failures, ...worseSlices(gate, metric, slices)];
  return { ...numbers, championValue, gain, slices, ...conclude(all, merit) };
}

function conclude(failures: string[], merit: string): Pick<GateDecision, "passed" | "reasons"> {
  return failures.length > 0 ? { passed: false, reasons: failures } : { passed: true, reasons: [merit] };
}

/** By how much the first value is better than the second. */
const improvement = (metric: Metric, value: number, other: number) =>
  METRICS[metric].better === "higher" ? value - other : other - value;

function belowThreshold({ threshold }: Gate, metric: Metric, value: number): string[] {
  if (threshold === undefined || improvement(metric, value, threshold) >= 0) return [];
  const bound = METRICS[metric].better === "higher" ? "at least" : "at most";
  return [`The candidate's ${metric} is ${format(value)}, the gate demands ${bound} ${threshold}`];
}

interface SlicedInput extends GateInput {
  champion: Answers;
}

/** Both models on each slice that has enough rows, and on which the metric is defined. */
function compareSlices(gate: Gate, input: SlicedInput): ComparedSlice[] {
  const minRows = gate.slices?.minRows ?? Infinity;
  return (input.sliced ?? [])
    .flatMap(({ values, bins }) => {
      const { name, edges, categories } = bins;
      const rows = Array.from(
        { length: edges.length + 2 },
        (): number[] => [],
      );
      // The last place is for missing values.
      for (let row = 0; row < values.length; row++) {
        const value = values[row]!;
        rows[Number.isNaN(value) ? edges.length + 1 : binIndex(edges, value)]!.push(row);
      }
      return rows.map((rows, bin) => {
        if (rows.length < minRows) return undefined;
        const isMissing = bin === edges.length + 1;
        const isText = categories !== undefined;
        return compareSlice(input, {
          feature: name,
          above: isMissing || isText ? null : edges[bin - 1] ?? null,
          upTo: isMissing || isText ? null : edges[bin] ?? null,
          text: isMissing || !isText ? null : categories[bin] ?? "",
          rows,
        });
      });
    })
    .filter((slice) => slice !== undefined)
    .toSorted((one, other) => one.gain - other.gain);
}

function compareSlice(
  { metric, quantile, candidate, champion }: SlicedInput,
  { rows, ...slice }: Pick<ComparedSlice, "feature" | "above" | "upTo" | "text"> & {
    rows: readonly number[];
  },
): ComparedSlice | undefined {
  const pick = (values: Float64Array, width = 1) =>
    Float64Array.from(
      { length: rows.length * width },
      (_, index) => values[rows[Math.floor(index / width)]! * width + index % width]!,
    );
  const once = new Float64Array(rows.length).fill(1);
  const valueOf = ({ labels, outputs }: Answers) =>
    METRICS[metric].compute(
      scoreRows(pick(labels), pick(outputs, outputs.length / labels.length), quantile),
      once,
    );
  const [candidateValue, championValue] = [valueOf(candidate), valueOf(champion)];
  // Not every metric is defined on every slice, such as AUC on one class.
  if (Number.isNaN(candidateValue) || Number.isNaN(championValue)) return undefined;
  return {
    ...slice,
    rows: rows.length,
    candidateValue,
    championValue,
    gain: improvement(metric, candidateValue, championValue),
  };
}

function worseSlices(gate: Gate, metric: Metric, slices: readonly ComparedSlice[]): string[] {
  const bound = gate.slices?.maxLoss ?? Infinity;
  return slices.filter(({ gain }) => -gain > bound).map((slice) =>
    `The candidate's ${metric} is worse by ${format(-slice.gain)} on the ${slice.rows} rows where ${
      describeSlice(slice)
    }: the gate allows at most ${bound}`
  );
}

function describeSlice({ feature, above, upTo, text }: ComparedSlice): string {
  if (text !== null) return text === "" ? `${feature} is a rare text` : `${feature} is "${text}"`;
  if (above === null && upTo === null) return `${feature} is missing`;
  const bounds = [
    ...(above === null ? [] : [`above ${format(above)}`]),
    ...(upTo === null ? [] : [`at most ${format(upTo)}`]),
  ];
  return `${feature} is ${bounds.join(" and ")}`;
}

interface Demand {
  rival: "champion" | "baseline";
  rivalValue: number;
  gain: number;
  /** In the metric's unit. */
  minimum: number;
  /** As a part of the rival's value. */
  minimumShare: number;
}

function missedGains(metric: Metric, { rival, rivalValue, gain, minimum, minimumShare }: Demand): string[] {
  if (gain === 0) return [`The candidate's ${metric} equals the ${rival}'s, ${format(rivalValue)}`];
  if (gain < 0) {
    return [
      `The candidate's ${metric} is worse than the ${rival}'s ${format(rivalValue)} by ${format(-gain)}`,
    ];
  }
  const missed: string[] = [];
  const said = `The gain in ${metric} over the ${rival} is ${format(gain)}, the gate demands at least`;
  if (gain < minimum) missed.push(`${said} ${minimum}`);
  const share = minimumShare * Math.abs(rivalValue);
  if (gain < share) missed.push(`${said} ${format(share)}: ${minimumShare} of ${format(rivalValue)}`);
  return missed;
}

const format = (value: number) => String(Number(value.toPrecision(5)));
