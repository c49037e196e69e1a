/** The last stage: how long everything took, and how much memory. @module */
import type { MemoryRow } from "../stack.ts";
import type { Demo } from "./demo_context.ts";
import { grouped } from "./screen.ts";

/** What the whole stack, without this program that plays its user, may take at the end of any stage, in megabytes. */
const MEMORY_LIMIT_MB = 900;

export interface StageRecord {
  title: string;
  seconds: number;
  /** At its end. */
  memory: readonly MemoryRow[];
}

export function showSummary(
  { screen, checks }: Pick<Demo, "screen" | "checks">,
  stages: readonly StageRecord[],
): void {
  screen.table(
    ["stage", "seconds", "memory of the stack, MB"],
    stages.map(({ title, seconds, memory }, index) => [
      `${index + 1}. ${title}`,
      seconds.toFixed(1).padStart(7),
      stackMegabytes(memory),
    ]),
  );
  const fullest = stages.reduce((most, stage) =>
    stackMegabytes(stage.memory) > stackMegabytes(most.memory) ? stage : most
  );
  const isProportional = fullest.memory.every(({ kind }) => kind === "pss");
  const peak = stackMegabytes(fullest.memory);
  screen.line(
    `   Most memory at the end of "${fullest.title}" (MB, ${
      isProportional
        ? "PSS: a page that n processes share counts 1/n in each"
        : "resident: shared pages count in each process"
    }):`,
  );
  screen.table(
    ["process", "MB"],
    [
      ...fullest.memory.filter(isOfStack).map((
        { name, bytes },
      ): [string, number] => [name, megabytes(bytes)]),
      ["the stack", peak],
      ["this demo, besides", megabytes(bytesOf(fullest.memory.filter((row) => !isOfStack(row))))],
    ],
  );
  const seconds = stages.reduce((sum, stage) => sum + stage.seconds, 0);
  if (isProportional) checks.atMost("megabytes of memory of the whole stack", MEMORY_LIMIT_MB, peak);
  screen.line(
    `\nThe demo is through: ${stages.length} stages in ${seconds.toFixed(1)} s, ` +
      `${grouped(checks.passed)} checks passed` +
      (isProportional ? `, ${peak} MB of memory, of at most ${MEMORY_LIMIT_MB} MB` : ""),
  );
}

/** The launcher is this demo: it loads the data and plays the user. */
const isOfStack = ({ name }: MemoryRow): boolean => name !== "launcher";

const megabytes = (bytes: number): number => Math.round(bytes / 1e6);

const bytesOf = (rows: readonly MemoryRow[]): number => rows.reduce((sum, { bytes }) => sum + bytes, 0);

const stackMegabytes = (rows: readonly MemoryRow[]): number => megabytes(bytesOf(rows.filter(isOfStack)));
