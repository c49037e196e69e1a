/**
 * Counters and histograms for what happens thousands of times a second. prom-client writes a text of the labels for
 * each observation; here the series of a list of label values is found by the values themselves, and may be kept.
 *
 * @module
 */
import type { Metric, Registry } from "prom-client";

export interface CounterSeries {
  add(count: number): void;
}

export interface HistogramSeries {
  observe(value: number): void;
}

/** All series of one metric. */
export interface SeriesOf<Series> {
  /** The series of these values, in the order of the label names. */
  of(...labels: (string | number)[]): Series;
}

export interface SeriesOptions {
  name: string;
  help: string;
  labelNames: readonly string[];
}

/** What a series says when the metric is asked for. */
interface Sample {
  /** Behind the name of the metric. */
  suffix: string;
  labels?: Record<string, string>;
  value: number;
}

class Counted implements CounterSeries {
  #count = 0;

  add(count: number): void {
    this.#count += count;
  }

  samples = (): Sample[] => [{ suffix: "", value: this.#count }];
}

class Distribution implements HistogramSeries {
  readonly #bounds: readonly number[];
  /** By bucket, each without those below it; the last one is for what is above all bounds. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++;
    this.#counts[bucket]!++;
    this.#sum += value;
  }

  samples(): Sample[] {
    let count = 0;
    const buckets = [...this.#bounds, "+Inf"].map((bound, index) => {
      count += this.#counts[index]!;
      return { suffix: "_bucket", labels: { le: String(bound) }, value: count };
    });
    return [...buckets, { suffix: "_sum", value: this.#sum }, { suffix: "_count", value: count }];
  }
}

export const counterSeries = (registry: Registry, options: SeriesOptions): SeriesOf<CounterSeries> =>
  register(registry, "counter", options, () => new Counted());

export const histogramSeries = (
  registry: Registry,
  { buckets, ...options }: SeriesOptions & { buckets: readonly number[] },
): SeriesOf<HistogramSeries> => register(registry, "histogram", options, () => new Distribution(buckets));

/** Series by the value of their first label, then by the next: looked up without making anything. */
interface Branch<Series> {
  branches: Map<string | number, Branch<Series>>;
  series: Series | undefined;
}

const branch = <Series>(): Branch<Series> => ({ branches: new Map(), series: undefined });

function register<Series extends { samples(): Sample[] }>(
  registry: Registry,
  type: "counter" | "histogram",
  { name, help, labelNames }: SeriesOptions,
  make: () => Series,
): SeriesOf<Series> {
  const root = branch<Series>();
  const all: { labels: Record<string, string>; series: Series }[] = [];

  function add(values: readonly (string | number)[]): Series {
    const series = make();
    const labels = labelNames.map((label, index) => [label, String(values[index])]);
    all.push({ labels: Object.fromEntries(labels), series });
    return series;
  }

  const get = () =>
    Promise.resolve({
      name,
      help,
      type,
      aggregator: "sum",
      values: all.flatMap(({ labels, series }) =>
        series.samples().map(({ suffix, labels: more, value }) => ({
          metricName: name + suffix,
          labels: { ...more, ...labels },
          value,
        }))
      ),
    });
  // A registry asks a metric for nothing else; its type names the package's own classes.
  registry.registerMetric({ name, get } as unknown as Metric);

  return {
    of(...values) {
      let at = root;
      for (const value of values) {
        let next = at.branches.get(value);
        if (next === undefined) at.branches.set(value, next = branch());
        at = next;
      }
      return at.series ??= add(values);
    },
  };
}
