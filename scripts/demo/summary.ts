/** The last stage: how long everything took, and how much memory. @module */
import type { MemoryRow } from "../stack.ts";
import type { Demo } from "./demo_context.ts";
import { grouped } from "./screen.ts";

/** What the whole stack may take when the loop has been through once, in megabytes. */
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
    ["stage", "seconds", "memory at its end, MB"],
    stages.map(({ title, seconds, memory }, index) => [
      `${index + 1}. ${title}`,
      seconds.toFixed(1).padStart(7),
      totalMegabytes(memory),
    ]),
  );
  const { memory } = stages.at(-1)!;
  const isProportional = memory.every(({ kind }) => kind === "pss");
  screen.line(
    `   Memory now, with everything up (MB, ${
      isProportional
        ? "PSS: a page that n processes share counts 1/n in each"
        : "resident: shared pages count in each process"
    }):`,
  );
  screen.table(
    ["process", "MB"],
    [
      ...memory.map(({ name, bytes }): [string, number] => [
        name === "launcher" ? "this demo" : name,
        megabytes(bytes),
      ]),
      ["all", totalMegabytes(memory)],
    ],
  );
  const seconds = stages.reduce((sum, stage) => sum + stage.seconds, 0);
  if (isProportional) {
    checks.atMost("megabytes of memory of the whole stack", MEMORY_LIMIT_MB, totalMegabytes(memory));
  }
  screen.line(
    `\nThe demo is through: ${stages.length} stages in ${seconds.toFixed(1)} s, ` +
      `${grouped(checks.passed)} checks passed` +
      (isProportional ? `, ${totalMegabytes(memory)} MB of memory, of at most ${MEMORY_LIMIT_MB} MB` : ""),
  );
}

const megabytes = (bytes: number): number => Math.round(bytes / 1e6);

const totalMegabytes = (rows: readonly MemoryRow[]): number =>
  megabytes(rows.reduce((sum, { bytes }) => sum + bytes, 0));
