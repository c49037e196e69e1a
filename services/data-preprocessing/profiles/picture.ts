/**
 * A profile beside the one before it as an SVG picture: a card a field, with what changed. Its colours follow the
 * viewer's light or dark scheme.
 *
 * @module
 */
import type { FieldProfile, Profile } from "shared/contracts/data_preprocessing.ts";
import { toInstant } from "shared/contracts/time.ts";
import { drawDistribution, drawTopValues } from "./charts.ts";
import type { MeasuredProfile } from "./list.ts";

const COLUMNS = 3;
const MARGIN = 24;
const GAP = 16;
const CARD = { width: 300, height: 176 } as const;
const CHART = { x: 12, y: 46, width: CARD.width - 24, height: 96 } as const;
const WIDTH = 2 * MARGIN + COLUMNS * CARD.width + (COLUMNS - 1) * GAP;
const LINE_HEIGHT = 18;
const MAX_FIELDS = 60;
const MAX_LISTED_ANOMALIES = 6;

const STYLE = `
  svg { color-scheme: light dark; --paper: #ffffff; --card: #f6f7f9; --line: #d9dde3; --ink: #1b1f24;
    --faint: #667080; --now: #3b6fd4; --before: #8a93a0; --odd: #c2410c; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #14171b; --card: #1d2127; --line: #343a43; --ink: #e6e9ee; --faint: #9aa4b2; --now: #6f9bf0;
      --before: #8a93a0; --odd: #fb923c; }
  }
  text { font-family: system-ui, sans-serif; fill: var(--ink); }
  .faint { fill: var(--faint); }
  .odd { fill: var(--odd); }
  .chart { color: var(--faint); }
  .chart text { fill: var(--faint); }`;

/** @param before the last one before it that holds records */
export async function drawProfile(
  now: MeasuredProfile,
  before: MeasuredProfile | undefined,
): Promise<string> {
  const { profile } = now;
  const fields = profile.fields.slice(0, MAX_FIELDS);
  const head = headOf(profile, before?.profile);
  const top = MARGIN + head.height;
  const cards = await Promise.all(fields.map((field, index) =>
    cardOf(field, { now, before }, {
      x: MARGIN + (index % COLUMNS) * (CARD.width + GAP),
      y: top + Math.floor(index / COLUMNS) * (CARD.height + GAP),
    })
  ));
  const more = profile.fields.length - fields.length;
  const cardsEnd = top + Math.ceil(fields.length / COLUMNS) * (CARD.height + GAP);
  const height = cardsEnd + (more > 0 ? LINE_HEIGHT + GAP : 0) + MARGIN - GAP;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    `<title>${escaped(`Profile of ${profile.source}, ${spanOf(profile)}`)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect width="100%" height="100%" fill="var(--paper)"/>`,
    head.svg,
    ...cards,
    more > 0 ? textAt(MARGIN, cardsEnd + LINE_HEIGHT, `and ${more} more fields`, { class: "faint" }) : "",
    "</svg>",
  ].join("\n");
}

function headOf(now: Profile, before: Profile | undefined): { svg: string; height: number } {
  const compared = before === undefined
    ? "nothing before it"
    : `before: ${spanOf(before)}, ${numberText(before.count)} records`;
  const lines = [
    textAt(MARGIN, MARGIN + 16, now.source, { size: 20, weight: 600 }),
    textAt(MARGIN, MARGIN + 38, `${spanOf(now)}, ${numberText(now.count)} records; ${compared}`, {
      class: "faint",
    }),
    legendAt(WIDTH - MARGIN - 170, MARGIN + 12),
  ];
  let y = MARGIN + 38;
  const listed = now.anomalies.slice(0, MAX_LISTED_ANOMALIES);
  const more = now.anomalies.length - listed.length;
  const texts = listed.map(({ field, message }) => `${field === "" ? "the window" : field} ${message}`);
  for (const text of more > 0 ? [...texts, `and ${more} more`] : texts) {
    y += LINE_HEIGHT;
    lines.push(textAt(MARGIN, y, shortened(text, 130), { class: "odd" }));
  }
  return { svg: lines.join("\n"), height: y - MARGIN + GAP };
}

function legendAt(x: number, y: number): string {
  return [
    `<rect x="${x}" y="${y - 9}" width="14" height="10" fill="var(--now)" fill-opacity="0.75"/>`,
    textAt(x + 20, y, "this window", { class: "faint" }),
    `<line x1="${x + 100}" y1="${y - 4}" x2="${x + 116}" y2="${
      y - 4
    }" stroke="var(--before)" stroke-width="2"/>`,
    textAt(x + 122, y, "before", { class: "faint" }),
  ].join("\n");
}

async function cardOf(
  field: FieldProfile,
  { now, before }: { now: MeasuredProfile; before: MeasuredProfile | undefined },
  { x, y }: { x: number; y: number },
): Promise<string> {
  const earlier = before?.profile.fields.find((one) => one.field === field.field);
  const anomalies = now.profile.anomalies.filter((anomaly) => anomaly.field === field.field);
  const stroke = anomalies.length > 0 ? "var(--odd)" : "var(--line)";
  const facts = [
    typeText(field),
    nullText(
      share(field.nulls, now.profile.count),
      earlier && share(earlier.nulls, before!.profile.count),
    ),
    `${numberText(field.distinct)} distinct`,
  ].join(", ");
  const kinds = [...new Set(anomalies.map(({ kind }) => kind))].join(", ");
  return [
    `<g transform="translate(${x} ${y})">`,
    `<rect width="${CARD.width}" height="${CARD.height}" rx="8" fill="var(--card)" stroke="${stroke}"/>`,
    textAt(12, 20, shortened(field.field, 30), { size: 13, weight: 600 }),
    kinds === "" ? "" : textAt(CARD.width - 12, 20, kinds, { class: "odd", anchor: "end" }),
    textAt(12, 37, facts, { class: "faint", size: 11 }),
    await chartOf(field, { now, before, earlier }),
    textAt(12, CARD.height - 12, bottomText(field), { class: "faint", size: 11 }),
    "</g>",
  ].join("\n");
}

async function chartOf(
  field: FieldProfile,
  { now, before, earlier }: {
    now: MeasuredProfile;
    before: MeasuredProfile | undefined;
    earlier: FieldProfile | undefined;
  },
): Promise<string> {
  if (field.numbers !== null) {
    const [statistics, statisticsBefore] = [now, before].map((one) =>
      one?.statistics.fields.get(field.field)
    );
    return await drawDistribution({ field, statistics: statistics! }, {
      before: earlier && statisticsBefore && { field: earlier, statistics: statisticsBefore },
      place: CHART,
    });
  }
  if (field.top.length > 0) {
    return await drawTopValues(
      { top: field.top, records: now.profile.count },
      { before: earlier && { top: earlier.top, records: before!.profile.count }, place: CHART },
    );
  }
  const message = field.distinct > 0 ? "no value is frequent" : "nothing to draw";
  return textAt(CARD.width / 2, CHART.y + CHART.height / 2, message, { class: "faint", anchor: "middle" });
}

/** Instants are texts with numbers. */
const isOfInstants = ({ types, numbers }: FieldProfile) => numbers !== null && types["number"] === undefined;

function typeText(field: FieldProfile): string {
  if (isOfInstants(field)) return "instant";
  return Object.keys(field.types).join(" or ") || "no value";
}

function bottomText({ numbers, lengths, ...field }: FieldProfile): string {
  if (isOfInstants({ numbers, lengths, ...field })) {
    return [numbers!.min, numbers!.max].map((ms) => toInstant(ms).slice(0, 16).replace("T", " ")).join(
      " to ",
    );
  }
  if (numbers !== null) {
    const { min, max, quantiles: { p50 }, mean, deviation } = numbers;
    return `${short(min)} to ${short(max)}, median ${short(p50)}, mean ${short(mean)}, sd ${
      short(deviation)
    }`;
  }
  if (lengths === null) return "";
  return `${numberText(lengths.min)} to ${numberText(lengths.max)} characters, ${
    short(lengths.mean)
  } on average`;
}

const share = (part: number, whole: number) => whole === 0 ? 0 : part / whole;
const percentText = (value: number) => `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)}%`;

function nullText(now: number, before: number | undefined): string {
  const text = `${percentText(now)} null`;
  return before === undefined || percentText(before) === percentText(now)
    ? text
    : `${text} (${percentText(before)})`;
}

const numberText = (value: number) => value.toLocaleString("en");
/** Three digits in few characters: `12.3K`, `1.7e308`. */
const short = (value: number) =>
  Math.abs(value) >= 1e15
    ? value.toExponential(1).replace("e+", "e")
    : value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 });

/** `2011-05-02` of a day, else both ends. */
function spanOf({ from, until, window }: Profile): string {
  return window === "P1D" ? from.slice(0, 10) : `${from.slice(0, 16)} to ${until.slice(0, 16)}`;
}

interface TextStyle {
  class?: string;
  size?: number;
  weight?: number;
  anchor?: "middle" | "end";
}

function textAt(x: number, y: number, text: string, style: TextStyle = {}): string {
  const attributes = [
    `x="${x}" y="${y}" font-size="${style.size ?? 12}"`,
    style.class === undefined ? "" : `class="${style.class}"`,
    style.weight === undefined ? "" : `font-weight="${style.weight}"`,
    style.anchor === undefined ? "" : `text-anchor="${style.anchor}"`,
  ].filter((one) => one !== "");
  return `<text ${attributes.join(" ")}>${escaped(text)}</text>`;
}

function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 3)}...`;
}

/** Control characters and halves of pairs can't stand in XML, however they are written. */
function escaped(text: string): string {
  return text.toWellFormed()
    // deno-lint-ignore no-control-regex -- it is these that must go
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
