/**
 * The charts of a profile's picture, each as an SVG element to stand in it.
 *
 * The libraries are loaded with the first picture: most copies of the service never draw one.
 *
 * @module
 */
import type { FieldProfile } from "shared/contracts/data_preprocessing.ts";
import type { FieldStatistics } from "shared/statistics/field_statistics.ts";

export interface Place {
  x: number;
  y: number;
  width: number;
  height: number;
}

interface Measured {
  field: FieldProfile;
  statistics: FieldStatistics;
}

const BARS = 28;

interface Bar {
  from: number | Date;
  to: number | Date;
  /** Of the values that are drawn. */
  share: number;
}

/** How numbers or instants are distributed: bars, with the outline of those before; tails beyond 1% are left out. */
export async function drawDistribution(
  now: Measured,
  { before, place }: { before: Measured | undefined; place: Place },
): Promise<string> {
  const { Plot, document } = await drawing();
  const isOfTimes = now.field.types["number"] === undefined;
  // Times go on from window to window: beside each other both would be a dash.
  const compared = isOfTimes ? undefined : before;
  const range = rangeOf([now, compared].flatMap((one) => one?.field.numbers ?? []));
  const bars = barsOf(now, range, isOfTimes);
  const outline = compared === undefined ? [] : barsOf(compared, range, isOfTimes);
  const chart = Plot.plot({
    ...frameOf(place, document),
    marginLeft: 4,
    marginRight: 4,
    x: {
      type: isOfTimes ? "utc" : "linear",
      domain: domainOf(range, isOfTimes),
      ticks: 4,
      label: null,
      nice: false,
      ...isOfTimes ? { tickFormat: timeLabelOf(range) } : {},
    },
    y: {
      axis: null,
      domain: [0, Math.max(...[...bars, ...outline].map((bar) => bar.share), Number.MIN_VALUE)],
    },
    marks: [
      Plot.rectY(bars, {
        x1: "from",
        x2: "to",
        y: "share",
        fill: "var(--now)",
        fillOpacity: 0.75,
        insetLeft: 0.5,
      }),
      Plot.line(outlineOf(outline), { x: "x", y: "y", stroke: "var(--before)", strokeWidth: 1.5 }),
      Plot.ruleY([0], { stroke: "var(--line)" }),
    ],
  });
  return placed(chart, place);
}

function rangeOf(numbers: readonly NonNullable<FieldProfile["numbers"]>[]): { from: number; to: number } {
  const from = Math.min(...numbers.map(({ quantiles }) => quantiles.p01));
  const to = Math.max(...numbers.map(({ quantiles }) => quantiles.p99));
  // All values are one: it stands in the middle.
  return from < to ? { from, to } : { from: from - Math.abs(from) / 2 - 1, to: to + Math.abs(to) / 2 + 1 };
}

const DAYS_MS = 2 * 86_400_000;

/** Of a span of days the days, of a shorter one the times of day. */
function timeLabelOf({ from, to }: { from: number; to: number }): (time: Date) => string {
  return (time) => to - from > DAYS_MS ? time.toISOString().slice(0, 10) : time.toISOString().slice(11, 16);
}

function domainOf({ from, to }: { from: number; to: number }, isOfTimes: boolean): (number | Date)[] {
  return isOfTimes ? [new Date(from), new Date(to)] : [from, to];
}

function barsOf(
  { statistics }: Measured,
  { from, to }: { from: number; to: number },
  isOfTimes: boolean,
): Bar[] {
  const counts = statistics.histogram({ from, to, bars: BARS });
  const total = Math.max(counts.reduce((sum, count) => sum + count, 0), 1);
  const width = (to - from) / BARS;
  const place = (value: number) => isOfTimes ? new Date(value) : value;
  return counts.map((count, index) => ({
    from: place(from + index * width),
    to: place(from + (index + 1) * width),
    share: count / total,
  }));
}

function outlineOf(bars: readonly Bar[]): { x: number | Date; y: number }[] {
  return bars.flatMap(({ from, to, share }) => [{ x: from, y: share }, { x: to, y: share }]);
}

interface Top {
  top: FieldProfile["top"];
  records: number;
}

const MOST_VALUES = 5;
const LONGEST_LABEL = 16;

/** The most frequent values with their share of the records; a mark where the share was before. */
export async function drawTopValues(
  now: Top,
  { before, place }: { before: Top | undefined; place: Place },
): Promise<string> {
  const { Plot, document } = await drawing();
  const shareOf = (count: number, { records }: Top) => count / Math.max(records, 1);
  const values = now.top.slice(0, MOST_VALUES);
  const rows = values.map(({ value, count }) => ({ value, share: shareOf(count, now) }));
  const known = new Map(before?.top.map(({ value, count }) => [value, count]));
  const marks = values.flatMap(({ value }) => {
    const count = known.get(value);
    return count === undefined ? [] : [{ value, share: shareOf(count, before!) }];
  });
  const chart = Plot.plot({
    ...frameOf(place, document),
    marginLeft: 104,
    marginRight: 40,
    marginBottom: 4,
    marginTop: 4,
    x: {
      axis: null,
      domain: [0, Math.max(...[...rows, ...marks].map(({ share }) => share), Number.MIN_VALUE)],
    },
    y: {
      domain: values.map(({ value }) => value),
      label: null,
      tickSize: 0,
      padding: 0.25,
      tickFormat: labelOf,
    },
    marks: [
      Plot.barX(rows, { x: "share", y: "value", fill: "var(--now)", fillOpacity: 0.75 }),
      Plot.tickX(marks, { x: "share", y: "value", stroke: "var(--before)", strokeWidth: 2 }),
      Plot.text(rows, {
        frameAnchor: "right",
        y: "value",
        text: (row: { share: number }) => `${(100 * row.share).toFixed(row.share < 0.1 ? 1 : 0)}%`,
        textAnchor: "end",
        dx: 38,
      }),
    ],
  });
  return placed(chart, place);
}

function labelOf(value: string): string {
  // deno-lint-ignore no-control-regex -- what XML can't hold
  const text = value.toWellFormed().replace(/[\u0000-\u001f\ufffe\uffff]/g, " ");
  if (text.trim() === "") return text === "" ? "(empty)" : "(blank)";
  return text.length <= LONGEST_LABEL ? text : `${text.slice(0, LONGEST_LABEL - 3)}...`;
}

async function drawing() {
  const [Plot, { parseHTML }] = await Promise.all([import("@observablehq/plot"), import("linkedom")]);
  // Its types name the browser's own, which a service has no use for.
  const { document } = parseHTML("<html><body></body></html>") as unknown as { document: unknown };
  return { Plot, document };
}

function frameOf({ width, height }: Place, document: unknown) {
  // deno-lint-ignore no-explicit-any -- the library asks for the browser's type, which is not there
  return { document: document as any, width, height, marginTop: 6, marginBottom: 18, className: "chart" };
}

/** As much of an SVG element as is needed here. */
interface ChartElement {
  querySelectorAll(selector: string): Iterable<{ remove(): void }>;
  setAttribute(name: string, value: string): void;
  readonly outerHTML: string;
}

/** The chart as an element within another one: without the library's own style, whose colours are of a light page. */
function placed(chart: ChartElement, { x, y }: Place): string {
  for (const style of chart.querySelectorAll("style")) style.remove();
  chart.setAttribute("x", String(x));
  chart.setAttribute("y", String(y));
  return chart.outerHTML;
}
