/**
 * What every benchmark is made of: rounds in which the subject and what it is compared with take turns, so that a
 * machine that is busy for a while is so for both; medians; and ratios, turned so that larger is better for us.
 *
 * @module
 */

/** A benchmark, found by its name. */
export interface Bench {
  name: string;
  summary: string;
  run(options: BenchOptions): Promise<BenchResult>;
}

export interface BenchOptions {
  /** Rounds after the warm-up. */
  rounds: number;
  /** 1 as it is reported; less for a quick look, which says nothing about speed. */
  scale: number;
  /** Told in a line what happens. */
  say: (line: string) => void;
}

export interface BenchResult {
  /** By what it was compared with; larger is better for us. */
  ratios: Record<string, number>;
  /** What was measured, with the unit in the name. */
  figures: Record<string, number>;
  /** What a reader must know to read the figures; what was left out. */
  notes: string[];
}

/** Measures one side of a comparison once. @returns figures by name */
type Turn = () => Promise<Record<string, number>>;

/** Lets the turns take place one after the other, a round to warm up and then `rounds` that count. @returns medians */
export async function inTurn(
  turns: Readonly<Record<string, Turn>>,
  { rounds, say }: Pick<BenchOptions, "rounds" | "say">,
): Promise<Record<string, Record<string, number>>> {
  const measured = new Map<string, Record<string, number>[]>();
  for (let round = 0; round <= rounds; round++) {
    for (const [name, turn] of Object.entries(turns)) {
      const figures = await turn();
      const shown = Object.entries(figures).map(([key, value]) => `${key} ${format(value)}`).join(", ");
      say(`${round === 0 ? "warm-up" : `round ${round}`}, ${name}: ${shown}`);
      if (round > 0) measured.set(name, [...measured.get(name) ?? [], figures]);
    }
  }
  const medians = [...measured].map(([name, rounds]) => [
    name,
    Object.fromEntries(
      Object.keys(rounds[0]!).map((key) => [key, median(rounds.map((figures) => figures[key]!))]),
    ),
  ]);
  return Object.fromEntries(medians);
}

/** The middle value; of an even number of them the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new TypeError("There is no median of nothing");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A number as people read it: no more digits than say something. */
export function format(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

/** The result as a table for people. */
export function table(name: string, { ratios, figures, notes }: BenchResult): string {
  const rows = [
    ...Object.entries(figures).map(([key, value]) => [key, format(value)]),
    ...Object.entries(ratios).map(([key, value]) => [`ratio to ${key}`, `${format(value * 100)}%`]),
  ];
  const width = Math.max(...rows.map(([key]) => key!.length));
  return [
    name,
    ...rows.map(([key, value]) => `  ${key!.padEnd(width)}  ${value}`),
    ...notes.map((note) => `  (${note})`),
  ].join("\n");
}

/** What the figures were taken on. */
export function machine(): Record<string, string | number> {
  return {
    cores: navigator.hardwareConcurrency,
    memory_gib: Math.round(Deno.systemMemoryInfo().total / 2 ** 30),
    os: `${Deno.build.os} ${Deno.build.arch}`,
    deno: Deno.version.deno,
    date: new Date().toISOString().slice(0, 10),
  };
}
