/** A model card as a page that needs nothing but itself. @module */
import type { LoggedPoint, ModelCard } from "shared/contracts/model_training.ts";
import { fileSection, loggedRunSection } from "./elsewhere.ts";
import { distributionsSection, hintsSection, importancesSection, inputsSection } from "./features.ts";
import { type Html, html } from "./html.ts";
import { aliasesSection, gateSection, lineageSection, parametersSection, trialsSection } from "./origin.ts";
import { count, minute, number, rough, type Section, words } from "./parts.ts";
import { baselinesOf, curvesSection, decisionSection, evaluationSection, slicesSection } from "./quality.ts";
import { STYLE } from "./style.ts";

/** @param rounds metrics of its run by round, as many as are drawn */
export async function renderCard(card: ModelCard, rounds: readonly LoggedPoint[]): Promise<string> {
  const { version: { model, version, notes }, description } = card;
  const title = `${model} ${version}`;
  const sections = [
    hintsSection(card),
    evaluationSection(card),
    decisionSection(card),
    await curvesSection(card, rounds),
    slicesSection(card),
    importancesSection(card),
    gateSection(card),
    aliasesSection(card),
    inputsSection(card),
    await distributionsSection(card),
    lineageSection(card),
    loggedRunSection(card),
    fileSection(card),
    parametersSection(card),
    trialsSection(card),
  ].filter((section) => section !== undefined);
  const page = html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>${title}</title>
        <style>${STYLE}</style>
      </head>
      <body>
        <header>
          <h1>${title}</h1>
          <p class="faint">${origin(card)}</p>
          ${description === "" ? html`` : html`<p>${description}</p>`}
          ${notes === "" ? html`` : html`<p>${notes}</p>`}
          ${summary(card)}
          <nav>${sections.map(({ id, title }) => html`<a href="#${id}">${title}</a>`)}</nav>
        </header>
        <main>${sections.map(draw)}</main>
      </body>
    </html>
  `;
  return page.text;
}

const draw = ({ id, title, body }: Section): Html =>
  html`<section id="${id}"><h2>${title}</h2>${body}</section>`;

function origin({ version: v }: ModelCard): string {
  const aliases = v.aliases.length > 0 ? `; ${v.aliases.join(", ")}` : "";
  const retired = v.retiredAt === null
    ? ""
    : `; retired ${minute(v.retiredAt)} by ${v.retiredBy}: ${v.retiredReason}`;
  return `${v.signature.task}, ${v.algorithm}, ${v.origin} ${
    minute(v.createdAt)
  } by ${v.actor}${aliases}${retired}`;
}

/** What one looks for first, at a glance. */
function summary(card: ModelCard): Html {
  const { version: { evaluation }, curves, comparisons: [judged] } = card;
  if (evaluation === null) return html``;
  const decision = curves?.decision ?? null;
  const { metric, model, interval: [low, high], rows } = evaluation;
  const tiles = [
    tile(words(metric), number(model[metric]), `95%: ${rough(low)} to ${rough(high)}`),
    ...Object.entries(baselinesOf(card)).map(([name, metrics]) =>
      tile(words(name), number(metrics[metric]), "needs no model")
    ),
    tile("Test rows", count(rows), "not learnt from"),
    ...(decision === null ? [] : [
      tile("Threshold", number(decision.threshold), `mean cost ${rough(decision.cost)}`),
    ]),
    ...(judged === undefined ? [] : [
      tile(
        "Gate",
        judged.passed ? "passed" : "not passed",
        `against ${judged.against}, ${minute(judged.at)}`,
      ),
    ]),
  ];
  return html`<div class="tiles">${tiles}</div>`;
}

const tile = (name: string, value: string, more: string): Html =>
  html`<div class="tile"><span>${name}</span><b>${value}</b><span>${more}</span></div>`;
