/**
 * Rows of values, of columns whose types are known at the end. They lie in shared memory, so that a thread hands what it
 * has made to another one without copying it.
 *
 * @module
 */
import type { FeatureValue } from "shared/contracts/feature_store.ts";

export type Scalar = NonNullable<FeatureValue>;

/** What a column holds: of numbers or of booleans alone (0 and 1) the cells say it, of anything else codes. */
export type CellColumn =
  | { kind: "nothing" | "number" | "boolean" }
  /** A cell is the position of its value. */
  | { kind: "coded"; values: readonly Scalar[] };

export interface Cells {
  readonly rows: number;
  /** {@link BLOCK_ROWS} rows each, row after row; NaN where there is no value. */
  readonly blocks: readonly Float64Array[];
  readonly columns: readonly CellColumn[];
}

export interface CellWriter {
  readonly rows: number;
  /** @param parts the values of a row, one part after the other: as many as there are columns */
  add(...parts: readonly (readonly FeatureValue[])[]): void;
  /** Nothing can be added afterwards. */
  finish(): Cells;
}

/** An array that doubles would hold up to twice what is in it. */
export const BLOCK_ROWS = 256;

const [NOTHING, NUMBER, BOOLEAN, CODED] = [0, 1, 2, 3] as const;
const KINDS = ["nothing", "number", "boolean"] as const;

export function createCellWriter(width: number): CellWriter {
  const blocks: Float64Array[] = [];
  const kinds = new Uint8Array(width);
  const codes = new Map<number, Map<Scalar, number>>();
  let rows = 0;

  /** Of what is not one more number in a column of numbers. */
  function cellOf(value: FeatureValue, column: number): number {
    if (value === null) return NaN;
    const kind = typeof value === "number" ? NUMBER : typeof value === "boolean" ? BOOLEAN : CODED;
    if (kinds[column] === NOTHING && kind !== CODED) kinds[column] = kind;
    if (kinds[column] === kind && kind !== CODED) return Number(value);
    if (kinds[column] !== CODED) encode(column);
    return codeOf(codes.get(column)!, value);
  }

  /** The values of the rows before, of one kind, become codes too. */
  function encode(column: number): void {
    const ofColumn = new Map<Scalar, number>();
    for (let row = 0; row < rows; row++) {
      const block = blocks[Math.floor(row / BLOCK_ROWS)]!;
      const place = (row % BLOCK_ROWS) * width + column;
      const cell = block[place]!;
      if (!Number.isNaN(cell)) block[place] = codeOf(ofColumn, kinds[column] === BOOLEAN ? cell === 1 : cell);
    }
    codes.set(column, ofColumn);
    kinds[column] = CODED;
  }

  return {
    get rows() {
      return rows;
    },
    add(...parts) {
      if (rows % BLOCK_ROWS === 0) {
        blocks.push(
          new Float64Array(new SharedArrayBuffer(BLOCK_ROWS * width * Float64Array.BYTES_PER_ELEMENT)),
        );
      }
      const block = blocks.at(-1)!;
      const first = (rows % BLOCK_ROWS) * width;
      let column = 0;
      for (const values of parts) {
        for (let index = 0; index < values.length; index++) {
          const value = values[index]!;
          block[first + column] = typeof value === "number" && kinds[column] === NUMBER
            ? value
            : cellOf(value, column);
          column++;
        }
      }
      rows++;
    },
    finish: () => ({
      rows,
      blocks,
      columns: Array.from(kinds, (kind, column): CellColumn => {
        const ofColumn = codes.get(column);
        return ofColumn === undefined
          ? { kind: KINDS[kind]! }
          : { kind: "coded", values: [...ofColumn.keys()] };
      }),
    }),
  };
}

/** The number of a row's cell. */
export function cellAt({ blocks, columns }: Cells, row: number, column: number): number {
  return blocks[Math.floor(row / BLOCK_ROWS)]![(row % BLOCK_ROWS) * columns.length + column]!;
}

/** What a row holds in a column. */
export function valueAt(cells: Cells, row: number, column: number): FeatureValue {
  const cell = cellAt(cells, row, column);
  const value = Number.isNaN(cell) ? NaN : scalarOf(cells.columns[column]!, cell);
  return Number.isNaN(value) ? null : value;
}

/** What a cell of the column stands for that is not NaN. */
export function scalarOf(column: CellColumn, cell: number): Scalar {
  if (column.kind === "coded") return column.values[cell]!;
  return column.kind === "boolean" ? cell === 1 : cell;
}

function codeOf(codes: Map<Scalar, number>, value: Scalar): number {
  const known = codes.get(value);
  if (known !== undefined) return known;
  codes.set(value, codes.size);
  return codes.size - 1;
}
