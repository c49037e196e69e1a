/** A model card as a page that needs nothing but itself. @module */
import type { MetricPoint, ModelCard } from "shared/contracts/model_training.ts";
import {
  drawAnswers,
  drawBins,
  drawCalibration,
  drawImportances,
  drawPrecisionRecall,
  drawRoc,
  drawRounds,
} from "./charts.ts";
import { Html, html } from "./html.ts";

const STYLE = new Html(`
  :root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --faint: #667080; --line: #d9dde3; --card: #f6f7f9;
    --main: #3b6fd4; --other: #c2410c; }
  @media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e6e9ee; --faint: #9aa4b2; --line: #343a43;
    --card: #1d2127; --main: #6f9bf0; --other: #fb923c; } }
  body { margin: 0 auto; max-width: 1120px; padding: 24px; background: var(--paper); color: var(--ink);
    font: 15px/1.5 system-ui, sans-serif; }
  h1 { margin: 0; font-size: 26px; } h2 { margin: 36px 0 8px; font-size: 18px; }
  p.faint, td.faint, .faint { color: var(--faint); }
  table { border-collapse: collapse; } th, td { padding: 4px 16px 4px 0; text-align: left; vertical-align: top; }
  th { color: var(--faint); font-weight: 500; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
  tr { border-bottom: 1px solid var(--line); } code { overflow-wrap: anywhere; font-size: 13px; }
  .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 16px; }
  figure { margin: 0; padding: 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--card);
    overflow-x: auto; }
  figure svg { max-width: 100%; height: auto; } figcaption { font-weight: 600; font-size: 14px; overflow-wrap: anywhere; }
  .hint { border-left: 3px solid var(--other); padding-left: 10px; margin: 4px 0; }`);

/** @param rounds metrics of its run by round, as many as are drawn */
export async function renderCard(card: ModelCard, rounds: readonly MetricPoint[]): Promise<string> {
  const { version: v, run, description } = card;
  const title = `${v.model} ${v.version}`;
  const page = html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <title>${title}</title>
        <style>${STYLE}</style>
      </head>
      <body>
        <h1>${title}</h1>
        <p class="faint">${v.signature.task}, ${v.algorithm}, ${v.origin} ${v.createdAt} by ${v
          .actor}${v.aliases.length > 0 ? `; ${v.aliases.join(", ")}` : ""}${v.retiredAt === null
          ? ""
          : `; retired ${v.retiredAt} by ${v.retiredBy}: ${v.retiredReason}`}</p>
        ${description === "" ? html`` : html`<p>${description}</p>`}
        ${v.notes === "" ? html`` : html`<p>${v.notes}</p>`}
        ${hintsSection(card)}
        ${evaluationSection(card)}
        ${await curvesSection(card)}
        ${await importancesSection(card)}
    ${rounds.length === 0 ? html`` : html`<h2>Training by round</h2>${await figure("", drawRounds(rounds))}`}
        ${await distributionsSection(card)}
        <h2>Inputs</h2>
        ${table(
          ["Feature", "Type", "Missing values", "Example"],
          v.signature.inputs.map(({ name, type, nulls }) => [
            name,
            type,
            nulls === "refuse" ? "refused" : "as trained",
            v.inputExample === null ? "" : String(v.inputExample[name] ?? "missing"),
          ]),
        )}
        <h2>Lineage</h2>
        ${facts({
          "Run": run.id,
          "Project": v.project,
          "Model file": v.sha256,
          "Training set": v.trainingSet ?? "not known",
          "Feature service": `${v.signature.featureService.name} ${v.signature.featureService.version}`,
          "Git revision": run.gitRevision ?? run.environment["gitRevision"] ?? "not known",
          "Seed": String(run.seed ?? ""),
          ...run.environment,
          ...v.tags,
        })}
        <h2>Parameters</h2>
        ${facts(
          Object.fromEntries(
            Object.entries(run.parameters).map(([name, value]) => [name, JSON.stringify(value)]),
          ),
        )}
        ${trialsSection(card)}
        ${decisionsSection(card)}
          </body>
    </html>
  `;
  return page.text;
}

function hintsSection({ version }: ModelCard): Html {
  if (version.hints.length === 0) return html``;
  return html`<h2>Look at this first</h2>${
    version.hints.map(({ message }) => html`<p class="hint">${message}</p>`)
  }`;
}

function evaluationSection({ version: { evaluation } }: ModelCard): Html {
  if (evaluation === null) {
    return html`
      <h2>Evaluation</h2>
      <p>It was not judged.</p>
    `;
  }
  const { model, baseline, metric, interval, rows, trainRows, trainUntil, testFrom, testUntil } = evaluation;
  const [low, high] = interval;
  return html`<h2>Evaluation</h2>
<p>Learnt from ${trainRows} rows up to ${trainUntil}; judged once, on ${rows} rows of ${testFrom} to ${testUntil} that it
had not seen. ${metric} ${number(model[metric])}, with 95% between ${number(low)} and ${number(high)}.</p>
${
    table(
      ["Metric", "Model", "Trivial baseline"],
      Object.keys(model).map((name) => [name, number(model[name]), number(baseline[name])]),
      { numbersFrom: 1 },
    )
  }`;
}

async function curvesSection({ curves }: ModelCard): Promise<Html> {
  if (curves === null) return html``;
  const figures = [
    ...(curves.roc.length > 0 ? [await figure("ROC", drawRoc(curves.roc))] : []),
    ...(curves.precisionRecall.length > 0
      ? [await figure("Precision and recall", drawPrecisionRecall(curves.precisionRecall))]
      : []),
    ...(curves.calibration.length > 0
      ? [await figure("Calibration", drawCalibration(curves.calibration))]
      : []),
    ...(curves.answers.length > 0 ? [await figure("Actual and predicted", drawAnswers(curves.answers))] : []),
  ];
  return figures.length === 0 ? html`` : html`
    <h2>Curves over the test part</h2>
    <div class="charts">${figures}</div>
  `;
}

/** Further ones say little, and would make the page long. */
const MAX_IMPORTANCES = 30;

async function importancesSection({ curves }: ModelCard): Promise<Html> {
  if (curves === null || curves.importances.length === 0) return html``;
  const shown = curves.importances.slice(0, MAX_IMPORTANCES);
  return html`<h2>Importances</h2>${await figure(
    "Share of what the features have lowered the loss by in training",
    drawImportances(shown),
  )}`;
}

/** A wide model would make a page of nothing else. */
const MAX_DISTRIBUTIONS = 60;

async function distributionsSection({ version: { referenceBins } }: ModelCard): Promise<Html> {
  if (referenceBins.length === 0) return html``;
  const shown = referenceBins.slice(-MAX_DISTRIBUTIONS);
  const figures = await Promise.all(shown.map((bins) => figure(bins.name, drawBins(bins))));
  return html`
    <h2>Distributions in training</h2>
    <div class="charts">${figures}</div>
  `;
}

function trialsSection({ run: { trials } }: ModelCard): Html {
  if (trials.length === 0) return html``;
  const rows = trials.map(({ trial, value, error, rows, parameters }) => [
    String(trial),
    value === null ? error ?? "" : number(value),
    String(rows),
    JSON.stringify(parameters),
  ]);
  return html`<h2>Trials</h2>${table(["Trial", "Value", "Rows", "Parameters"], rows)}`;
}

function decisionsSection({ moves, comparisons }: ModelCard): Html {
  return html`${
    comparisons.length === 0 ? html`` : html`<h2>Judgements of the gate</h2>${
      table(
        ["When", "Against", "Rows", "Gain", "Passed", "Why"],
        comparisons.map(({ at, against, champion, rows, gain, passed, reasons }) => [
          at,
          champion === null ? `${against}: none` : `${against}: version ${champion}`,
          String(rows),
          gain === null ? "" : number(gain),
          passed ? "yes" : "no",
          reasons.join("; "),
        ]),
      )
    }`
  }${
    moves.length === 0 ? html`` : html`<h2>Aliases</h2>${
      table(
        ["When", "Alias", "By", "Why", "Evidence"],
        moves.map((
          { at, alias, kind, actor, reason, evidence },
        ) => [at, `${alias} (${kind})`, actor, reason, evidence]),
      )
    }`
  }`;
}

async function figure(caption: string, chart: Promise<Html>): Promise<Html> {
  return html`<figure><figcaption>${caption}</figcaption>${await chart}</figure>`;
}

function facts(values: Readonly<Record<string, string>>): Html {
  const rows = Object.entries(values).map(([name, value]) =>
    html`
      <tr>
        <th>${name}</th>
        <td><code>${value}</code></td>
      </tr>
    `
  );
  return html`<table>${rows}</table>`;
}

function table(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  { numbersFrom = Infinity }: { numbersFrom?: number } = {},
): Html {
  const cells = (row: readonly string[]) =>
    row.map((cell, index) =>
      index >= numbersFrom ? html`<td class="number">${cell}</td>` : html`<td>${cell}</td>`
    );
  return html`
    <table>
      <thead>
        <tr>${heads.map((head) => html`<th>${head}</th>`)}</tr>
      </thead>
      <tbody>${rows.map((row) => html`<tr>${cells(row)}</tr>`)}</tbody>
    </table>
  `;
}

const number = (value: number | undefined) =>
  value === undefined ? "-" : String(Number(value.toPrecision(5)));
