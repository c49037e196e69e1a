import type { Gate, Metric } from "shared/contracts/model_training.ts";
import { METRICS, metricValue, scoreRows } from "./evaluation/metrics.ts";

export interface GateInput {
  metric: Metric;
  /** Labels and outputs of the same rows, later than what either model was trained on. */
  labels: Float64Array;
  candidate: Float64Array;
  /** Null when there is no champion yet. */
  champion: Float64Array | null;
  /** Of the prior of the candidate's training part. */
  baseline: Float64Array;
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
  const { metric, labels, champion } = input;
  const rows = labels.length;
  if (rows < gate.minRows) {
    return {
      passed: false,
      rows,
      candidateValue: null,
      championValue: null,
      baselineValue: null,
      gain: null,
      reasons: [`The comparison has ${rows} rows, the gate demands at least ${gate.minRows}`],
    };
  }
  const valueOf = (outputs: Float64Array) => metricValue(metric, scoreRows(labels, outputs));
  const candidateValue = valueOf(input.candidate);
  const baselineValue = valueOf(input.baseline);
  const belowBaseline = missedGains(metric, {
    rival: "baseline",
    rivalValue: baselineValue,
    gain: improvement(metric, candidateValue, baselineValue),
    minimum: 0,
    minimumShare: gate.minBaselineGain,
  });
  const numbers = { rows, candidateValue, baselineValue };
  const values = `The candidate's ${metric} is ${format(candidateValue)}, the baseline's ${
    format(baselineValue)
  }`;
  if (champion === null) {
    const merit = `${values} on ${rows} rows: there is no champion to compare with`;
    return { ...numbers, championValue: null, gain: null, ...conclude(belowBaseline, merit) };
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
  return { ...numbers, championValue, gain, ...conclude([...belowChampion, ...belowBaseline], merit) };
}

function conclude(failures: string[], merit: string): Pick<GateDecision, "passed" | "reasons"> {
  return failures.length > 0 ? { passed: false, reasons: failures } : { passed: true, reasons: [merit] };
}

/** By how much the first value is better than the second. */
const improvement = (metric: Metric, value: number, other: number) =>
  METRICS[metric].better === "higher" ? value - other : other - value;

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
