/**
 * The rows of a given spine in columns: data that another thread reads where it lies, keys aside. A row is named by its
 * place in the spine.
 *
 * @module
 */
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import { cellAt, type Cells, valueAt } from "./cells.ts";

export interface GivenRows {
  /** Canonical keys of the entities, ascending. */
  readonly keys: readonly string[];
  /** The rows of the key at a position lie in `order` from its start to the next one. */
  readonly starts: Uint32Array;
  /** Rows by key, then T, then place; of all keys that the spine has. */
  readonly order: Uint32Array;
  /** Columns: those of {@link GIVEN_HEAD}, then the named ones. */
  readonly cells: Cells;
  readonly columns: readonly string[];
}

/** The columns before the named ones: the entity's key, and T in milliseconds since 1970. */
export const GIVEN_HEAD = ["key", "time"] as const;
const [KEY, TIME] = GIVEN_HEAD.keys().toArray() as [number, number];

/** What is asked of an entity at T. */
export interface GivenRow {
  at: number;
  place: number;
  /** What the spine holds besides; null where it has no such column. */
  read(column: string): FeatureValue;
}

/** Orders the rows by their keys and times. */
export function arrangeRows(cells: Cells, columns: readonly string[]): GivenRows {
  const key = cells.columns[KEY]!;
  const texts = key.kind === "coded" ? key.values as readonly string[] : [];
  const codes = Uint32Array.from(texts, (_, code) => code)
    .sort((a, b) => texts[a]! < texts[b]! ? -1 : 1);
  const positionOf = new Uint32Array(codes.length);
  codes.forEach((code, position) => positionOf[code] = position);

  const starts = new Uint32Array(codes.length + 1);
  for (let row = 0; row < cells.rows; row++) starts[positionOf[cellAt(cells, row, KEY)]! + 1]!++;
  for (let position = 1; position < starts.length; position++) starts[position]! += starts[position - 1]!;
  const order = new Uint32Array(new SharedArrayBuffer(cells.rows * Uint32Array.BYTES_PER_ELEMENT));
  const next = starts.slice();
  for (let row = 0; row < cells.rows; row++) order[next[positionOf[cellAt(cells, row, KEY)]!]!++] = row;
  for (let position = 0; position < codes.length; position++) {
    order.subarray(starts[position], starts[position + 1])
      .sort((a, b) => cellAt(cells, a, TIME) - cellAt(cells, b, TIME) || a - b);
  }
  return { keys: Array.from(codes, (code) => texts[code]!), starts, order, cells, columns };
}

/** Number of rows. */
export const countRows = ({ starts }: GivenRows): number => starts.at(-1)! - starts[0]!;

/** Contiguous parts of about as many rows each, at most so many; at least one. */
export function divideRows(given: GivenRows, parts: number): GivenRows[] {
  const { keys, starts } = given;
  const rows = countRows(given);
  const bounds = [0];
  for (let part = 1; part < parts; part++) {
    const wanted = starts[0]! + rows * part / parts;
    bounds.push(Math.max(bounds.at(-1)!, keys.findIndex((_, position) => starts[position]! >= wanted)));
  }
  bounds.push(keys.length);
  return bounds.slice(1).map((end, part) => ({
    ...given,
    keys: keys.slice(bounds[part], end),
    starts: starts.slice(bounds[part], end + 1),
  }));
}

/** The last T of all rows; undefined without rows. */
export function lastTime(given: GivenRows): number | undefined {
  const { keys } = given;
  if (keys.length === 0) return undefined;
  const reader = createGivenReader(given);
  return keys.reduce((last, key) => Math.max(last, reader.lastTime(key)), -Infinity);
}

export interface GivenReader {
  /** Those of an entity, ascending by T. */
  rows(key: string): Generator<GivenRow>;
  lastTime(key: string): number;
}

export function createGivenReader({ keys, starts, order, cells, columns }: GivenRows): GivenReader {
  const positions = new Map(keys.map((key, position) => [key, position]));
  const places = new Map(columns.map((name, index) => [name, GIVEN_HEAD.length + index]));
  return {
    *rows(key) {
      const position = positions.get(key)!;
      for (let index = starts[position]!; index < starts[position + 1]!; index++) {
        const place = order[index]!;
        const read = (column: string) => {
          const cell = places.get(column);
          return cell === undefined ? null : valueAt(cells, place, cell);
        };
        yield { at: cellAt(cells, place, TIME), place, read };
      }
    },
    lastTime: (key) => cellAt(cells, order[starts[positions.get(key)! + 1]! - 1]!, TIME),
  };
}
