/**
 * What the demo shows: plain lines and tables, and while something takes its time a line of progress, rewritten in
 * place on a terminal, else a new one every few seconds.
 *
 * @module
 */

export interface Screen {
  line(text?: string): void;
  /** Columns are as wide as their widest cell; numbers are grouped and stand to the right. */
  table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): void;
  /** What happens at the moment. Gone, on a terminal, when a line follows. */
  progress(text: string): void;
}

export interface ScreenOptions {
  write: (text: string) => void;
  /** Columns of the terminal; absent where the output is none. */
  columns?: number;
}

const PROGRESS_EVERY_MS = 3_000;
/** Of a terminal that does not say. */
const DEFAULT_COLUMNS = 80;
const CLEAR_LINE = "\r\x1b[2K";
const INDENT = "   ";

export function createScreen({ write, columns }: ScreenOptions): Screen {
  let isProgressShown = false;
  let wroteAt = performance.now();

  function line(text = ""): void {
    write(`${isProgressShown ? CLEAR_LINE : ""}${text}\n`);
    isProgressShown = false;
    wroteAt = performance.now();
  }

  return {
    line,
    table(header, rows) {
      const cells = [header, ...rows.map((row) => row.map(cellText))];
      const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
      const isNumber = header.map((_, column) =>
        rows.length > 0 && rows.every((row) => typeof row[column] === "number")
      );
      for (const row of cells) {
        const aligned = row.map((cell, column) =>
          isNumber[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)
        );
        line(`${INDENT}${aligned.join("  ")}`.trimEnd());
      }
    },
    progress(text) {
      if (columns !== undefined) {
        write(`${CLEAR_LINE}${`${INDENT}${text} ...`.slice(0, columns - 1)}`);
        isProgressShown = true;
      } else if (performance.now() - wroteAt >= PROGRESS_EVERY_MS) {
        line(`${INDENT}${text} ...`);
      }
    },
  };
}

/** The screen of this process's standard output. */
export function standardScreen(): Screen {
  const encoder = new TextEncoder();
  return createScreen({
    write(text) {
      const bytes = encoder.encode(text);
      for (let written = 0; written < bytes.length;) {
        written += Deno.stdout.writeSync(bytes.subarray(written));
      }
    },
    ...(Deno.stdout.isTerminal() ? { columns: Deno.consoleSize().columns || DEFAULT_COLUMNS } : {}),
  });
}

const cellText = (cell: string | number): string => typeof cell === "number" ? grouped(cell) : cell;

/** `57,502` */
export const grouped = (value: number): string => value.toLocaleString("en-US");

/** `34.4%` */
export const percent = (share: number): string => `${(share * 100).toFixed(1)}%`;

/** `2011-05-01 13:45` */
export const minute = (instant: string): string => instant.slice(0, 16).replace("T", " ");

export const day = (instant: string): string => instant.slice(0, 10);
