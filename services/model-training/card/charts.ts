/**
 * The charts of a model card as SVG. Their colours follow the page's light or dark scheme.
 *
 * The libraries are loaded with the first card: most copies of the service never draw one.
 *
 * @module
 */
import type { Curves, LoggedPoint } from "shared/contracts/model_training.ts";
import type { ReferenceBins } from "shared/contracts/signature.ts";
import { Html } from "./html.ts";

const SIZE = { width: 340, height: 240, style: { background: "none", color: "currentColor" } } as const;
const SHARE = { domain: [0, 1], ticks: 5, grid: true } as const;
const MAIN = "var(--main)";
const FAINT = "var(--faint)";
/** Bars of a distribution at most; further ones have no room for their labels. */
const MAX_BARS = 20;

/**
 * How many of the positives are found at the price of how many false alarms; the diagonal is chance.
 *
 * @param chosen where the threshold of the decision lies
 */
export function drawRoc(
  roc: Curves["roc"],
  chosen?: { falsePositiveRate: number; truePositiveRate: number },
): Promise<Html> {
  return draw((Plot) => ({
    ...SIZE,
    x: { ...SHARE, label: "False positive rate" },
    y: { ...SHARE, label: "True positive rate" },
    marks: [
      Plot.line([[0, 0], [1, 1]], { stroke: FAINT, strokeDasharray: "4" }),
      Plot.line(roc, { x: "falsePositiveRate", y: "truePositiveRate", stroke: MAIN, strokeWidth: 2 }),
      Plot.dot(chosen === undefined ? [] : [chosen], {
        x: "falsePositiveRate",
        y: "truePositiveRate",
        fill: "var(--other)",
        r: 5,
      }),
    ],
  }));
}

/** @param baseRate the precision of chance */
export function drawPrecisionRecall(points: Curves["precisionRecall"], baseRate?: number): Promise<Html> {
  return draw((Plot) => ({
    ...SIZE,
    x: { ...SHARE, label: "Recall" },
    y: { ...SHARE, label: "Precision" },
    marks: [
      Plot.ruleY(baseRate === undefined ? [] : [baseRate], { stroke: FAINT, strokeDasharray: "4" }),
      // From the strictest threshold back to the axis.
      Plot.line([{ recall: 0, precision: points[0]!.precision }, ...points], {
        x: "recall",
        y: "precision",
        stroke: MAIN,
        strokeWidth: 2,
      }),
    ],
  }));
}

/** What was predicted beside what happened; on the diagonal a probability means what it says. */
export function drawCalibration(
  points: readonly { predicted: number; observed: number; rows: number }[],
): Promise<Html> {
  return draw((Plot) => ({
    ...SIZE,
    x: { ...SHARE, label: "Predicted probability" },
    y: { ...SHARE, label: "Observed share" },
    r: { range: [2, 8] },
    marks: [
      Plot.line([[0, 0], [1, 1]], { stroke: FAINT, strokeDasharray: "4" }),
      Plot.line(points, { x: "predicted", y: "observed", stroke: MAIN }),
      Plot.dot(points, { x: "predicted", y: "observed", r: "rows", fill: MAIN }),
    ],
  }));
}

/** Values beside what the model says of them. */
export function drawAnswers(answers: Curves["answers"]): Promise<Html> {
  const values = answers.flatMap(({ actual, predicted }) => [actual, predicted]);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return draw((Plot) => ({
    ...SIZE,
    grid: true,
    x: { label: "Actual", ticks: 5 },
    y: { label: "Predicted", ticks: 5 },
    marks: [
      Plot.line([[least, least], [most, most]], { stroke: FAINT, strokeDasharray: "4" }),
      Plot.dot(answers, { x: "actual", y: "predicted", fill: MAIN, fillOpacity: 0.5, r: 2.5 }),
    ],
  }));
}

/** Bins of equal content say more by how narrow they are than by what they hold. */
const EQUAL_BINS = 9;

/** How a feature or the output was distributed in training. */
export function drawBins(bins: ReferenceBins): Promise<Html> {
  return bins.categories === undefined && bins.edges.length >= EQUAL_BINS
    ? drawDensity(bins)
    : drawCounts(bins);
}

/** The open bins at both ends are drawn as wide as their neighbours. */
function drawDensity({ edges, counts, missing }: ReferenceBins): Promise<Html> {
  const all = counts.reduce((sum, count) => sum + count, 0);
  const last = edges.length - 1;
  const borders = [2 * edges[0]! - edges[1]!, ...edges, 2 * edges[last]! - edges[last - 1]!];
  const bars = counts.map((count, bin) => {
    const [from, to] = [borders[bin]!, borders[bin + 1]!];
    return { from, to, density: count / all / (to - from) };
  });
  return draw((Plot) => ({
    ...SIZE,
    height: 190,
    x: { label: missing > 0 ? `${missing} of ${all + missing} are missing` : null, ticks: 5 },
    y: { label: "Density", ticks: 4, grid: true, tickFormat: "~g" },
    marks: [
      Plot.rectY(bars, { x1: "from", x2: "to", y: "density", fill: MAIN, insetLeft: 0.5 }),
      Plot.ruleY([0]),
    ],
  }));
}

function drawCounts({ edges, counts, missing, categories }: ReferenceBins): Promise<Html> {
  const labelOf = (bin: number): string => {
    if (categories !== undefined) return categories[bin] ?? "other";
    if (edges.length === 0) return "all";
    return bin === edges.length ? `over ${short(edges[bin - 1]!)}` : `up to ${short(edges[bin]!)}`;
  };
  const bars = [
    ...counts.map((count, bin) => ({ label: labelOf(bin), count })).slice(0, MAX_BARS),
    ...(missing > 0 ? [{ label: "missing", count: missing }] : []),
  ];
  return draw((Plot) => ({
    ...SIZE,
    height: 190,
    marginBottom: 56,
    x: { label: null, tickRotate: -40, domain: bars.map(({ label }) => label) },
    y: { label: "Rows", ticks: 4, grid: true, tickFormat: "~s" },
    marks: [Plot.barY(bars, { x: "label", y: "count", fill: MAIN }), Plot.ruleY([0])],
  }));
}

/** Where a value is no number, the line is broken. */
export function drawRounds(rounds: readonly LoggedPoint[]): Promise<Html> {
  const points = rounds.map((point) => ({ ...point, value: Number(point.value) }));
  return draw((Plot) => ({
    ...SIZE,
    color: { legend: false },
    x: { label: "Round", ticks: 6 },
    y: { label: null, grid: true, ticks: 5 },
    marks: [
      Plot.line(points, {
        x: "step",
        y: "value",
        z: "name",
        stroke: (point: { name: string }) => point.name === "validation_loss" ? "var(--other)" : MAIN,
      }),
    ],
  }));
}

const short = (value: number) => String(Number(value.toPrecision(3)));

type Plot = typeof import("@observablehq/plot");

async function draw(options: (plot: Plot) => Parameters<Plot["plot"]>[0]): Promise<Html> {
  const [Plot, { parseHTML }] = await Promise.all([import("@observablehq/plot"), import("linkedom")]);
  // Its types name the browser's own, which a service has no use for.
  const { document } = parseHTML("<html><body></body></html>") as unknown as { document: unknown };
  // deno-lint-ignore no-explicit-any -- the library asks for the browser's type, which is not there
  return new Html(Plot.plot({ ...options(Plot), document: document as any }).outerHTML);
}
