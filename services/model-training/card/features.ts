/** What a version takes: how much each feature matters to it, and how it was distributed. @module */
import type { ModelCard } from "shared/contracts/model_training.ts";
import { drawBins } from "./charts.ts";
import { type Html, html } from "./html.ts";
import { type Cell, figure, number, type Section, table, words } from "./parts.ts";

/** Further ones say little, and would make the page long. */
const MAX_FEATURES = 40;

export function hintsSection({ version }: ModelCard): Section | undefined {
  if (version.hints.length === 0) return undefined;
  const body = html`${version.hints.map(({ message }) => html`<p class="hint">${message}</p>`)}`;
  return { id: "hints", title: "Look at this first", body };
}

export function importancesSection({ curves, version: { evaluation } }: ModelCard): Section | undefined {
  const { permutation = [], shap = [], importances = [] } = curves ?? {};
  const measures = [
    {
      head: "Permutation",
      values: new Map(permutation.map(({ feature, loss }) => [feature, loss])),
    },
    { head: "Mean |SHAP|", values: new Map(shap.map(({ feature, magnitude }) => [feature, magnitude])) },
    {
      head: "Gain",
      values: new Map(importances.map(({ feature, gain }) => [feature, gain])),
    },
  ].filter(({ values }) => values.size > 0);
  const [leading] = measures;
  if (leading === undefined) return undefined;
  const features = [...leading.values.keys()].slice(0, MAX_FEATURES);
  const most = measures.map(({ values }) => Math.max(...values.values()));
  const rows = features.map((feature): Cell[] => [
    feature,
    ...measures.map(({ values }, measure): Cell => {
      const value = values.get(feature);
      return { number: number(value), bar: shareBar((value ?? 0) / most[measure]!) };
    }),
  ]);
  const left = leading.values.size - features.length;
  const body = html`
    <p>Permutation: by how much the ${words(
      evaluation?.metric ?? "metric",
    )} becomes worse when a feature's values are
    dealt to other rows of the test part. SHAP: how far it moves an answer on average. Gain: its share of what training
    has lowered the loss by; a feature that is high only there was learnt by heart.</p>
    ${table(["Feature", ...measures.map(({ head }) => head)], rows)}
    ${left > 0 ? html`<p class="faint">${left} more stand in the card's JSON.</p>` : html``}
  `;
  return { id: "features", title: "Importances", body };
}

function shareBar(share: number): Html {
  const width = Number.isFinite(share) ? Math.max(0, Math.min(100, 100 * share)) : 0;
  return html`<span class="bar"><i style="left: 0; width: ${width.toFixed(1)}%"></i></span>`;
}

/** A wide model would make a page of nothing else. */
const MAX_DISTRIBUTIONS = 60;

export async function distributionsSection(
  { version: { referenceBins } }: ModelCard,
): Promise<Section | undefined> {
  if (referenceBins.length === 0) return undefined;
  const shown = referenceBins.slice(-MAX_DISTRIBUTIONS);
  const figures = await Promise.all(shown.map((bins) => figure(bins.name, drawBins(bins))));
  return {
    id: "distributions",
    title: "Distributions in training",
    body: html`<div class="charts">${figures}</div>`,
  };
}

export function inputsSection({ version: { signature, inputExample } }: ModelCard): Section {
  const rows = signature.inputs.map(({ name, type, nulls }) => [
    name,
    type,
    nulls === "refuse" ? "refused" : "as trained",
    inputExample === null ? "" : String(inputExample[name] ?? "missing"),
  ]);
  const said = signature.classes === null
    ? `It answers a ${signature.output}.`
    : `It answers a ${signature.output} of the classes ${signature.classes.join(", ")}.`;
  return {
    id: "inputs",
    title: "Signature",
    body: html`<p>${said}</p>${table(["Feature", "Type", "Missing values", "Example"], rows)}`,
  };
}
