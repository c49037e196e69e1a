/** Tables for people. @module */

export interface Column<Row> {
  title: string;
  /** Numbers are set to the right. */
  of(row: Row): string | number | null | undefined;
  /** Longest text; what is longer is cut. Default 60. */
  width?: number;
}

const DEFAULT_WIDTH = 60;
const numbers = new Intl.NumberFormat("en");

/** Rows under their titles; with `empty` in their place when there are none. */
export function renderTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  options: { empty?: string } = {},
): string {
  if (rows.length === 0) return options.empty ?? "Nothing";
  const cells = rows.map((row) => columns.map((column) => cell(column, row)));
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((line) => line[index]!.text.length))
  );
  const line = (parts: readonly Cell[]) =>
    parts.map(({ text, right }, index) => right ? text.padStart(widths[index]!) : text.padEnd(widths[index]!))
      .join("  ").trimEnd();
  const header = columns.map(({ title }, index) => ({
    text: title,
    right: cells.every((parts) => parts[index]!.right || parts[index]!.text === ""),
  }));
  return [line(header), ...cells.map(line)].join("\n");
}

interface Cell {
  text: string;
  right: boolean;
}

function cell<Row>({ of, width = DEFAULT_WIDTH }: Column<Row>, row: Row): Cell {
  const value = of(row);
  if (typeof value === "number") return { text: numbers.format(value), right: true };
  // One line, and nothing in it that would move the cursor of a terminal.
  const text = (value ?? "").replace(/\p{Cc}+/gu, " ");
  return { text: text.length <= width ? text : `${text.slice(0, width - 3)}...`, right: false };
}
