/** How good a version is: beside what needs no model, by threshold, by curve, by slice. @module */
import type { ClassReport, Curves, LoggedPoint, ModelCard, Slice } from "shared/contracts/model_training.ts";
import { METRICS } from "../domain/evaluation/metrics.ts";
import { drawAnswers, drawCalibration, drawPrecisionRecall, drawRoc, drawRounds } from "./charts.ts";
import { Html, html } from "./html.ts";
import { type Cell, count, figure, minute, number, percent, type Section, table, words } from "./parts.ts";

type Metrics = Readonly<Record<string, number>>;

/** Metrics of what needs no model, by its name. */
export function baselinesOf({ version, curves }: ModelCard): Readonly<Record<string, Metrics>> {
  const known = curves?.baselines ?? {};
  if (Object.keys(known).length > 0) return known;
  return version.evaluation === null ? {} : { prior: version.evaluation.baseline };
}

/** Whether the first value is worse than the other, by the metric's own direction. */
function isWorse(metric: string, value: number, other: number): boolean {
  const better = METRICS[metric as keyof typeof METRICS]?.better ?? "higher";
  return better === "higher" ? value < other : value > other;
}

export function evaluationSection(card: ModelCard): Section {
  const { evaluation } = card.version;
  const title = "Evaluation";
  if (evaluation === null) return { id: "evaluation", title, body: html`<p>It was not judged.</p>` };
  const { model, metric, interval: [low, high], trainRows, trainUntil } = evaluation;
  const baselines = Object.entries(baselinesOf(card));
  const names = Object.keys(model).toSorted((a, b) => Number(b === metric) - Number(a === metric));
  const rows = names.map((name): Cell[] => {
    const value = model[name]!;
    const beaten = baselines.some(([, other]) =>
      other[name] !== undefined && isWorse(name, value, other[name])
    );
    return [
      name === metric ? html`<b>${words(name)}</b>` : words(name),
      { number: number(value), tone: beaten ? "bad" : "good" },
      ...baselines.map(([, other]) => ({ number: number(other[name]) })),
    ];
  });
  const body = html`
    <p>Learnt from ${count(trainRows)} rows up to ${minute(trainUntil)}. ${lookText(card)}</p>
    <p>By its own metric, ${words(metric)}, it is between ${number(low)} and ${number(high)} with 95%.</p>
    ${table(["Metric", "Model", ...baselines.map(([name]) => words(name))], rows)}
    <p class="faint">The last columns need no model. A value in the second colour is worse than one of them.</p>
  `;
  return { id: "evaluation", title, body };
}

function lookText({ run: { testLook, trials }, version: { evaluation } }: ModelCard): string {
  if (testLook === null) {
    return evaluation === null ? "" : `Judged on ${count(evaluation.rows)} rows it had not seen.`;
  }
  const { at, actor, rows, from, until, tried, before } = testLook;
  const search = trials.length === 0
    ? "No parameters were searched for."
    : `The search had tried ${tried} candidates before, on validation only.`;
  const others = before === 0
    ? "No run had looked at these rows before."
    : `${before} ${
      before === 1 ? "run" : "runs"
    } had looked at these rows before: the value may be chosen from.`;
  return `The test part of ${count(rows)} rows of ${minute(from)} to ${minute(until)} was looked at once, ` +
    `${minute(at)}, for ${actor}. ${search} ${others}`;
}

export function decisionSection(card: ModelCard): Section | undefined {
  const { curves, version } = card;
  if (curves === null || curves.confusion.length === 0) return undefined;
  const { decision, confusion, classes } = curves;
  const { signature } = version;
  const names = classes.length > 0 ? classes.map((own) => own.class) : signature.classes ?? [];
  const body = html`${
    decision === null ? html`` : html`
      <p>From ${number(decision.threshold)} on an answer counts as ${signature.classes?.[1] ?? "1"}. On the
      test part the mean cost of a row is then ${number(decision.cost)}, when a false alarm costs ${number(
        decision.costs.falsePositive,
      )} and a miss ${number(decision.costs.falseNegative)}. Precision ${number(
        decision.precision,
      )}, recall ${number(decision.recall)}, F1 ${number(decision.f1)}.</p>
      <p class="faint">${CHOSEN_ON[decision.chosenOn]}</p>
    `
  }${confusionTable(confusion, names)}${decision === null ? classTable(classes) : html``}`;
  return { id: "decision", title: decision === null ? "Confusion" : "Threshold and confusion", body };
}

/** Where a threshold comes from. */
const CHOSEN_ON: Readonly<Record<NonNullable<Curves["decision"]>["chosenOn"], string>> = {
  validation: "It was chosen on the validation part, for the least cost there.",
  folds:
    "It was chosen for the least cost on rows of the training part, answered by fits that had not seen them.",
  costs:
    "It follows from the costs alone, for probabilities that are right: there were no rows to choose it on.",
  test: "It was chosen on the test part itself, and is a little kind to it.",
};

function classTable(classes: readonly ClassReport[]): Html {
  const cell = (value: number | null): Cell => value === null ? "-" : { number: number(value) };
  const rows = classes.map((own): Cell[] => [
    own.class,
    { number: count(own.trainRows) },
    { number: count(own.rows) },
    ...[own.precision, own.recall, own.f1].map(cell),
  ]);
  return table(["Class", "Rows learnt from", "Rows judged", "Precision", "Recall", "F1"], rows);
}

/** Further classes would make a table that nobody reads. */
const MAX_CLASSES = 25;

function confusionTable(confusion: readonly (readonly number[])[], names: readonly string[]): Html {
  if (confusion.length > MAX_CLASSES) {
    return html`<p>The table of ${confusion.length} classes stands in the card's JSON.</p>`;
  }
  const nameOf = (index: number) => names[index] ?? String(index);
  const rows = confusion.map((counts, actual) => {
    const all = counts.reduce((sum, value) => sum + value, 0);
    const cells = counts.map((value) => {
      const share = all === 0 ? 0 : value / all;
      const tint = new Html(
        `background: color-mix(in srgb, var(--main) ${Math.round(share * 55)}%, transparent)`,
      );
      return html`<td style="${tint}">${count(value)}<br><span class="faint">${percent(share)}</span></td>`;
    });
    return html`<tr><th>Actual ${nameOf(actual)}</th>${cells}</tr>`;
  });
  return html`
    <div class="scroll">
      <table class="confusion">
        <thead>
          <tr><th></th>${confusion.map((_, index) =>
            html`<th class="number">Said ${nameOf(index)}</th>`
          )}</tr>
        </thead>
        <tbody>${rows}</tbody>
      </table>
    </div>
  `;
}

/** Which curves are drawn, in their colours. */
function lossCaption(rounds: readonly LoggedPoint[]): Html {
  const names = [...new Set(rounds.map(({ name }) => name.replace("_loss", "")))];
  return html`Loss by round: ${names.map((name) => html`<span class="${name}">${name} </span>`)}`;
}

export async function curvesSection(
  { curves, version }: ModelCard,
  rounds: readonly LoggedPoint[],
): Promise<Section | undefined> {
  const { roc = [], precisionRecall = [], calibration = [], answers = [], confusion = [] } = curves ?? {};
  const rate = ([no = 0, yes = 0]: readonly number[] = []) => yes / Math.max(1, no + yes);
  const decision = curves?.decision ?? null;
  const chosen = decision === null
    ? undefined
    : { falsePositiveRate: rate(confusion[0]), truePositiveRate: rate(confusion[1]) };
  const figures = [
    ...(roc.length > 0 ? [figure("ROC", drawRoc(roc, chosen))] : []),
    ...(precisionRecall.length > 0
      ? [
        figure(
          "Precision and recall",
          drawPrecisionRecall(precisionRecall, version.evaluation?.baseRate),
        ),
      ]
      : []),
    ...(calibration.length > 0 ? [figure("Calibration", drawCalibration(calibration))] : []),
    ...(answers.length > 0 ? [figure("Actual and predicted", drawAnswers(answers))] : []),
    ...(rounds.length > 0 ? [figure(lossCaption(rounds), drawRounds(rounds))] : []),
  ];
  if (figures.length === 0) return undefined;
  const body = html`<div class="charts">${await Promise.all(figures)}</div>`;
  return { id: "curves", title: "Curves", body };
}

export function slicesSection({ curves, version: { evaluation } }: ModelCard): Section | undefined {
  const slices = curves?.slices ?? [];
  if (evaluation === null || slices.length === 0) return undefined;
  const { metric, model } = evaluation;
  const whole = model[metric]!;
  const known = slices.filter((slice) => slice.metrics[metric] !== undefined);
  const ends = [whole, ...known.flatMap(({ metrics, interval }) => [metrics[metric]!, ...interval ?? []])];
  const scale = { from: Math.min(...ends), to: Math.max(...ends), whole };
  const rows = slices.map((slice): Cell[] => {
    const value = slice.metrics[metric];
    const { interval } = slice;
    const stands = interval !== null && interval.every((end) => isWorse(metric, end, whole));
    return [
      slice.feature,
      slice.value,
      { number: count(slice.rows) },
      { number: number(value), ...(stands ? { tone: "bad" } : {}) },
      { number: interval === null ? "-" : `${number(interval[0])} to ${number(interval[1])}` },
      value === undefined ? "" : sliceBar({ value, interval }, scale),
    ];
  });
  const body = html`
    <p>${words(metric)} on parts of the test part, with 95% intervals; the line is the whole part's ${number(
      whole,
    )}. A
    value in the second colour is worse than it beyond chance.</p>
    ${table(["Feature", "Slice", "Rows", words(metric), "95% interval", ""], rows)}
  `;
  return { id: "slices", title: "Slices", body };
}

function sliceBar(
  { value, interval }: { value: number; interval: Slice["interval"] },
  { from, to, whole }: { from: number; to: number; whole: number },
): Html {
  const at = (value: number) => Number((to > from ? 100 * (value - from) / (to - from) : 50).toFixed(1));
  return html`
    <span
      class="bar"><i class="whole" style="left: ${at(whole)}%"></i>${interval === null
        ? html``
        : html`<i class="range" style="left: ${at(interval[0])}%; right: ${
          100 - at(interval[1])
        }%"></i>`}<i class="point" style="left: ${at(value)}%"></i></span>
  `;
}
