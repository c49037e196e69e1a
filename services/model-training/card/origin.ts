/** Where a version comes from, and what was decided of it. @module */
import { z } from "zod";
import { trainingSetStatusSchema } from "shared/contracts/feature_store.ts";
import type { ModelCard } from "shared/contracts/model_training.ts";
import { type Html, html } from "./html.ts";
import { type Cell, count, facts, minute, minuteCell, number, type Section, table, words } from "./parts.ts";

export function gateSection({ comparisons }: ModelCard): Section | undefined {
  if (comparisons.length === 0) return undefined;
  const rows = comparisons.map((
    {
      at,
      actor,
      against,
      champion,
      rows,
      metric,
      candidateValue,
      championValue,
      baselineValue,
      gain,
      passed,
      reasons,
    },
  ): Cell[] => [
    minuteCell(at),
    actor,
    champion === null ? `${against}: none` : `${against}: version ${champion}`,
    { number: count(rows) },
    words(metric),
    { number: number(candidateValue) },
    { number: number(championValue) },
    { number: number(baselineValue) },
    { number: number(gain) },
    html`${passed ? html`<b class="good">passed</b>` : html`<b class="bad">not passed</b>`}: ${
      reasons.join("; ")
    }`,
  ]);
  const heads = [
    "When",
    "By",
    "Against",
    "Rows",
    "Metric",
    "Candidate",
    "Champion",
    "Baseline",
    "Gain",
    "Decision",
  ];
  return { id: "gate", title: "Judgements of the gate", body: table(heads, rows) };
}

export function aliasesSection({ moves }: ModelCard): Section | undefined {
  if (moves.length === 0) return undefined;
  const rows = moves.map(({ at, alias, kind, actor, reason, evidence }): Cell[] => [
    minuteCell(at),
    `${alias} (${kind})`,
    actor,
    reason,
    evidence,
  ]);
  return { id: "aliases", title: "Aliases", body: table(["When", "Alias", "By", "Why", "Evidence"], rows) };
}

export function lineageSection(card: ModelCard): Section {
  const { version: v, run } = card;
  const { name, version } = v.signature.featureService;
  return {
    id: "lineage",
    title: "Lineage and environment",
    body: html`${readText(card)}${
      facts({
        "Run": run.id,
        "Asked for by": run.reason === "" ? run.actor : `${run.actor}: ${run.reason}`,
        "Project": v.project,
        "Definition": v.definition === null ? "none" : `version ${v.definition}`,
        "Model file": `${v.sha256}, ${count(v.bytes)} bytes`,
        "Training set": v.trainingSet ?? "not known",
        "Feature service": `${name} ${version}`,
        ...(run.gitRevision === null ? {} : { "Git revision of who asked": run.gitRevision }),
        "Git revision of the service": run.environment["gitRevision"] ?? "not known",
        "Seed": run.seed === null ? "none" : String(run.seed),
        ...withoutRevision(run.environment),
      })
    }${sourcesTable(card)}`,
  };
}

/** What the feature store says of a training set. */
function manifestOf({ version: { lineage } }: ModelCard) {
  const known = lineageSchema.safeParse(lineage);
  return known.success ? known.data.trainingSet.manifest : undefined;
}

const lineageSchema = z.object({ trainingSet: trainingSetStatusSchema.shape.result.unwrap() });

/** Whether the features could know what they must not. */
function readText(card: ModelCard): Html {
  const manifest = manifestOf(card);
  if (manifest === undefined) return html``;
  const { asKnown, clock, views } = manifest;
  const known = asKnown === "then"
    ? "The features of each row are made of what had happened and was known at its T"
    : html`<span class="bad">The features hold what is known today, which nobody could know at T</span>`;
  return html`<p>${known}; read at the project's clock ${minute(clock)}, from the views ${
    views.map(({ name, version }) => `${name} ${version}`).join(", ")
  }.</p>`;
}

function sourcesTable(card: ModelCard): Html {
  const sources = Object.entries(manifestOf(card)?.sources ?? {});
  if (sources.length === 0) return html``;
  const cellOf = (instant: string | null) => instant === null ? "-" : minuteCell(instant);
  return html`<h3>What was read</h3>${
    table(
      ["Source", "Records", "From", "To"],
      sources.map(([name, { records, from, to }]): Cell[] => [
        name,
        { number: count(records) },
        cellOf(from),
        cellOf(to),
      ]),
    )
  }`;
}

function withoutRevision({ gitRevision: _, ...rest }: Readonly<Record<string, string>>) {
  return rest;
}

export function parametersSection({ run, version }: ModelCard): Section | undefined {
  const texts = (values: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)]));
  const parameters = texts(run.parameters);
  const tags = Object.entries(version.tags);
  if (Object.keys(parameters).length === 0 && tags.length === 0) return undefined;
  return {
    id: "parameters",
    title: "Parameters and tags",
    body: facts({ ...parameters, ...Object.fromEntries(tags.map(([key, value]) => [`tag ${key}`, value])) }),
  };
}

export function trialsSection({ run: { trials } }: ModelCard): Section | undefined {
  if (trials.length === 0) return undefined;
  const rows = trials.map(({ trial, value, error, rows, parameters }): Cell[] => [
    { number: String(trial) },
    { number: value === null ? error ?? "" : number(value) },
    { number: count(rows) },
    JSON.stringify(parameters),
  ]);
  return {
    id: "trials",
    title: "Trials",
    body: html`<p>Judged on validation only.</p>${table(["Trial", "Value", "Rows", "Parameters"], rows)}`,
  };
}
