/** The rows that threads have made, as one table. @module */
import { TRAINING_SET_COLUMN } from "shared/contracts/feature_store.ts";
import type { TrainingSetColumn, TrainingSetTable } from "shared/training_set_table.ts";
import { BLOCK_ROWS, cellAt, type Cells, scalarOf } from "./cells.ts";
import { ROW_HEAD, type StatusCounts, type TrainingPart } from "./training_rows.ts";

export interface JoinedRows {
  readonly length: number;
  /** First and last T; of no rows infinite. */
  readonly times: { fromMs: number; toMs: number };
  /** Some rows: all have the same columns, with the same categories. */
  slice(first: number, end: number): TrainingSetTable;
  /** How many columns there are of values: the label, the features, what is carried. */
  readonly valueColumns: number;
  /**
   * Some of them, whole, those of features with the statuses of their values. The memory of a column is another one's
   * when the next is asked for: allocated anew for each, they would be held until the collector finds them.
   */
  columns(first: number, end: number): Generator<{ column: TrainingSetColumn; statuses?: StatusCounts }>;
}

export interface JoinOptions {
  /** `view.feature`, one column each. */
  features: readonly string[];
  carried: readonly string[];
  /** Whether a column must say which rows are mature: a label of mature ones may be null. */
  marksMature: boolean;
}

const [ENTITY, TIME, PLACE, MATURE, LABEL] = ROW_HEAD.keys().toArray() as [
  number,
  number,
  number,
  number,
  number,
];
const FIRST_FEATURE = ROW_HEAD.length;

/** @param parts each of later entity keys than the one before: theirs is the order of rows of one T */
export function joinParts(
  parts: readonly TrainingPart[],
  { features, carried, marksMature }: JoinOptions,
): JoinedRows {
  const rows = createRowReader(parts.map(({ cells }) => cells));
  const names = [TRAINING_SET_COLUMN.label, ...features, ...carried];
  const types = names.map((_, index) => joinColumn(parts.map(({ cells }) => cells), LABEL + index));
  const added = rows.all();
  const [times, places] = rows.read(added, [TIME, PLACE + 1]) as [Float64Array, Float64Array];
  const isGiven = places.length > 0 && !Number.isNaN(places[0]!);
  const order = orderBy(isGiven ? places : times).map((row) => added[row]!);
  const lastFeature = FIRST_FEATURE + features.length;

  function typed(
    slots: Uint32Array,
    [first, end]: readonly [number, number],
    room?: Float64Array<ArrayBuffer>,
  ): TrainingSetColumn[] {
    return rows.read(slots, [first, end], room).map((values, index) => {
      const { decode, ...type } = types[first - LABEL + index]!;
      if (decode !== undefined) {
        values.forEach((cell, row) => {
          if (!Number.isNaN(cell)) values[row] = decode(rows.partOf(slots[row]!), cell);
        });
      }
      return { name: names[first - LABEL + index]!, values, ...type };
    });
  }

  return {
    length: order.length,
    times: {
      fromMs: times.reduce((from, time) => Math.min(from, time), Infinity),
      toMs: times.reduce((to, time) => Math.max(to, time), -Infinity),
    },
    valueColumns: names.length,
    slice(first, end) {
      const slots = order.subarray(first, end);
      const [entities, times, , mature] = rows.read(slots, [ENTITY, MATURE + 1]);
      const [label] = typed(slots, [LABEL, LABEL + 1]);
      return {
        entities: Array.from(slots, (slot, row) => parts[rows.partOf(slot)]!.entities[entities![row]!]!),
        times: times!,
        labels: label!.values,
        ...(label!.type === "boolean" ? { labelType: label!.type } : {}),
        ...(label!.categories === undefined ? {} : { labelCategories: label!.categories }),
        ...(marksMature ? { mature: Uint8Array.from(mature!) } : {}),
        features: typed(slots, [FIRST_FEATURE, lastFeature]),
        ...(carried.length === 0
          ? {}
          : { carried: typed(slots, [lastFeature, lastFeature + carried.length]) }),
      };
    },
    *columns(first, end) {
      const room = new Float64Array(Math.min(LINE_CELLS, end - first) * order.length);
      for (let from = first; from < end; from += LINE_CELLS) {
        const to = Math.min(from + LINE_CELLS, end);
        for (const [index, column] of typed(order, [LABEL + from, LABEL + to], room).entries()) {
          const feature = LABEL + from + index - FIRST_FEATURE;
          const isFeature = feature >= 0 && feature < features.length;
          yield isFeature
            ? { column, statuses: sumOf(parts.map(({ statuses }) => statuses[feature]!)) }
            : { column };
        }
      }
    },
  };
}

/** A row's cells are found by its slot: the number of its block among those of all parts, and its place there. */
function createRowReader(parts: readonly Cells[]) {
  const blocks = parts.flatMap((cells) => cells.blocks);
  const partOfBlock = parts.flatMap((cells, part) => cells.blocks.map(() => part));
  const width = parts[0]?.columns.length ?? 0;
  return {
    partOf: (slot: number) => partOfBlock[Math.floor(slot / BLOCK_ROWS)]!,
    /** As they were added. */
    all(): Uint32Array {
      const all = new Uint32Array(parts.reduce((sum, { rows }) => sum + rows, 0));
      let row = 0;
      let firstBlock = 0;
      for (const { rows, blocks } of parts) {
        for (let own = 0; own < rows; own++) all[row++] = firstBlock * BLOCK_ROWS + own;
        firstBlock += blocks.length;
      }
      return all;
    },
    /** The cells of columns [first, end), in `cells` where there is room for them. */
    read(
      slots: Uint32Array,
      [first, end]: readonly [number, number],
      cells = new Float64Array((end - first) * slots.length),
    ): Float64Array[] {
      const columns = Array.from(
        { length: end - first },
        (_, column) => cells.subarray(column * slots.length, (column + 1) * slots.length),
      );
      for (let from = first; from < end; from += LINE_CELLS) {
        const to = Math.min(from + LINE_CELLS, end);
        for (let row = 0; row < slots.length; row++) {
          const slot = slots[row]!;
          const block = blocks[Math.floor(slot / BLOCK_ROWS)]!;
          const place = (slot % BLOCK_ROWS) * width;
          for (let column = from; column < to; column++) {
            columns[column - first]![row] = block[place + column]!;
          }
        }
      }
      return columns;
    },
  };
}

/** Cells of a row that lie in one cache line are read one after the other. */
const LINE_CELLS = 8;

interface JoinedColumn extends Pick<TrainingSetColumn, "type" | "categories"> {
  /** What a cell of a part becomes. Absent: it stays. */
  decode?: (part: number, cell: number) => number;
}

/**
 * Booleans stay booleans where there is nothing else, and are 0 and 1 beside numbers. A column with text in it is text,
 * where the rest is written as JSON writes it.
 */
function joinColumn(parts: readonly Cells[], index: number): JoinedColumn {
  const columns = parts.map(({ columns }) => columns[index]!);
  const kinds = new Set(columns.map(({ kind }) => kind));
  kinds.delete("nothing");
  if (!kinds.has("coded")) return kinds.has("boolean") && kinds.size === 1 ? { type: "boolean" } : {};
  const valueOf = (part: number, cell: number) => scalarOf(columns[part]!, cell);
  const coded = columns.flatMap((column) => column.kind === "coded" ? column.values : []);
  if (!coded.some((value) => typeof value === "string")) {
    return { decode: (part, cell) => Number(valueOf(part, cell)) };
  }
  const texts = new Set(coded.map(String));
  parts.forEach((cells, part) => {
    if (columns[part]!.kind === "coded") return;
    for (const cell of cellsOf(cells, index)) texts.add(String(valueOf(part, cell)));
  });
  const categories = [...texts].sort();
  const places = new Map(categories.map((text, place) => [text, place]));
  return { type: "text", categories, decode: (part, cell) => places.get(String(valueOf(part, cell)))! };
}

function* cellsOf(cells: Cells, index: number): Generator<number> {
  for (let row = 0; row < cells.rows; row++) {
    const cell = cellAt(cells, row, index);
    if (!Number.isNaN(cell)) yield cell;
  }
}

function sumOf([first, ...others]: readonly StatusCounts[]): StatusCounts {
  const sum = { ...first! };
  for (const counts of others) {
    for (const status of Object.keys(sum) as (keyof StatusCounts)[]) sum[status] += counts[status];
  }
  return sum;
}

/** A stable sort: rows of one time stay as they were added. */
function orderBy(values: Float64Array): Uint32Array {
  const order = Uint32Array.from({ length: values.length }, (_, row) => row);
  return order.sort((a, b) => values[a]! - values[b]! || a - b);
}
