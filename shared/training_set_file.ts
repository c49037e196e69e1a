/**
 * Training sets as Parquet files: what the feature store writes and the trainers read. The columns are those of
 * `TRAINING_SET_COLUMN`, then the features in the order of their feature service, then what was carried from the
 * spine. The same table gives the same bytes.
 *
 * @module
 */
import { setImmediate } from "node:timers/promises";
import { type ColumnChunk, type FileMetaData, parquetMetadata, parquetRead, type RowGroup } from "hyparquet";
import { ByteWriter, type ColumnSource, ParquetWriter } from "hyparquet-writer";
import { TRAINING_SET_COLUMN } from "./contracts/feature_store.ts";
import { AppError, messageOf } from "./errors.ts";
import { writeNumbers } from "./training_set_numbers.ts";
import { createTextCodes, type TrainingSetColumn, type TrainingSetTable } from "./training_set_table.ts";

/** Rows that are encoded in one go; between them the event loop has its turn. */
const ROWS_A_GROUP = 2_048;

const { entity: ENTITY, time: TIME, label: LABEL, mature: MATURE } = TRAINING_SET_COLUMN;

/** A training set that is made as it is written: it need not be held as a whole beside its file. */
export interface TrainingSetRows {
  readonly length: number;
  /** Rows [first, end). All slices, one of no rows included, have the same columns with the same categories. */
  slice(first: number, end: number): TrainingSetTable;
}

/** Infinite values have no place in a training set: they are written as they are, and the trainers refuse them. */
export async function writeTrainingSet(rows: TrainingSetRows | TrainingSetTable): Promise<Uint8Array> {
  const { length, slice } = "slice" in rows ? rows : rowsOf(rows);
  const columns = valueColumns(slice(0, 0));
  const bytes = new ByteWriter(roomFor(length, columns.length));
  const file = new ParquetWriter({
    writer: bytes,
    schema: [
      { name: "root", num_children: 2 + columns.length },
      { name: ENTITY, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
      { name: TIME, type: "INT64", converted_type: "TIMESTAMP_MILLIS", repetition_type: "REQUIRED" },
      ...columns.map(schemaOf),
    ],
    // Nobody searches a training set: it is read whole.
    statistics: false,
    createdBy: "microml",
  });
  for (let first = 0; first < length; first += ROWS_A_GROUP) {
    const table = slice(first, Math.min(first + ROWS_A_GROUP, length));
    const [numbers, others] = partition(valueColumns(table), isNumbers);
    await file.write({
      columnData: [
        { name: ENTITY, data: [...table.entities] },
        { name: TIME, data: BigInt64Array.from(table.times, BigInt) },
        ...others.map(cellsOf),
      ],
      rowGroupSize: ROWS_A_GROUP,
    });
    addColumns(file.row_groups.at(-1)!, {
      chunks: numbers.map(({ name, values }) => writeNumbers(bytes, name, values)),
      order: [ENTITY, TIME, ...columns.map(({ name }) => name)],
    });
    await setImmediate();
  }
  await file.finish();
  return bytes.getBytes();
}

function rowsOf(table: TrainingSetTable): TrainingSetRows {
  const { entities, times, labels, mature, features, carried } = table;
  return {
    length: entities.length,
    slice(first, end) {
      const ofColumn = (column: TrainingSetColumn) => ({
        ...column,
        values: column.values.subarray(first, end),
      });
      return {
        ...table,
        entities: entities.slice(first, end),
        times: times.subarray(first, end),
        labels: labels.subarray(first, end),
        ...(mature === undefined ? {} : { mature: mature.subarray(first, end) }),
        features: features.map(ofColumn),
        ...(carried === undefined ? {} : { carried: carried.map(ofColumn) }),
      };
    },
  };
}

function valueColumns(
  { labels, labelType, labelCategories, mature, features, carried = [] }: TrainingSetTable,
): TrainingSetColumn[] {
  const label: TrainingSetColumn = {
    name: LABEL,
    values: labels,
    ...(labelType === undefined ? {} : { type: labelType }),
    ...(labelCategories === undefined ? {} : { type: "text", categories: labelCategories }),
  };
  const marks: TrainingSetColumn[] = mature === undefined
    ? []
    : [{ name: MATURE, values: Float64Array.from(mature), type: "boolean" }];
  return [label, ...marks, ...features, ...carried];
}

/** A little more than the values take, so that the largest buffer of the work is never copied into a larger one. */
function roomFor(rows: number, columns: number): number {
  return 65_536 + rows * 64 + Math.ceil(rows * columns * 8.5) +
    columns * 256 * Math.ceil(rows / ROWS_A_GROUP);
}

function schemaOf({ name, type }: TrainingSetColumn) {
  const optional = { name, repetition_type: "OPTIONAL" } as const;
  if (type === "text") return { ...optional, type: "BYTE_ARRAY", converted_type: "UTF8" } as const;
  return { ...optional, type: type === "boolean" ? "BOOLEAN" : "DOUBLE" } as const;
}

const isNumbers = ({ type }: TrainingSetColumn) => type === undefined;

function partition<T>(all: readonly T[], test: (one: T) => boolean): [T[], T[]] {
  return [all.filter(test), all.filter((one) => !test(one))];
}

function cellsOf({ name, values: cells, type, categories = [] }: TrainingSetColumn): ColumnSource {
  const data = Array.from(cells, (cell) => {
    if (Number.isNaN(cell)) return null;
    return type === "text" ? categories[cell]! : cell === 1;
  });
  return type === "text" ? { name, data, encoding: "RLE_DICTIONARY" } : { name, data };
}

/** Adds columns that stand behind the others in the file; a row group names all in the order of the schema. */
function addColumns(
  group: RowGroup,
  { chunks, order }: { chunks: readonly ColumnChunk[]; order: readonly string[] },
): void {
  const places = new Map(order.map((name, place) => [name, place]));
  const placeOf = ({ meta_data }: ColumnChunk) => places.get(meta_data!.path_in_schema[0]!)!;
  group.columns = [...group.columns, ...chunks].sort((a, b) => placeOf(a) - placeOf(b));
  for (const { meta_data } of chunks) {
    group.total_byte_size += meta_data!.total_uncompressed_size;
    group.total_compressed_size = (group.total_compressed_size ?? 0n) + meta_data!.total_compressed_size;
  }
}

/** @throws {AppError} `invalid` when it is no Parquet file, or has other columns than a training set */
export async function readTrainingSet(bytes: Uint8Array): Promise<TrainingSetTable> {
  try {
    return await readColumns(bytes);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError("invalid", `Cannot read the training set: ${messageOf(error)}`, { cause: error });
  }
}

async function readColumns(bytes: Uint8Array): Promise<TrainingSetTable> {
  const buffer = bytes.slice().buffer;
  const metadata = parquetMetadata(buffer);
  const rows = Number(metadata.num_rows);
  const entities = new Array<string>(rows);
  const columns = new Map(columnsOf(metadata).map((column) => [column.name, readInto(column, rows)]));
  await parquetRead({
    file: { byteLength: buffer.byteLength, slice: (start, end) => buffer.slice(start, end) },
    metadata,
    parsers: { timestampFromMilliseconds: Number },
    onChunk: ({ columnName, columnData, rowStart }) => {
      if (columnName !== ENTITY) return columns.get(columnName)!.take(columnData, rowStart);
      for (let index = 0; index < columnData.length; index++) entities[rowStart + index] = columnData[index];
    },
  });
  const all = [...columns.values()].map((column) => column.finish());
  const named = (name: string) => all.find((column) => column.name === name);
  const { values: labels, type: labelType, categories: labelCategories } = named(LABEL)!;
  const mature = named(MATURE);
  const carried = all.filter(({ name }) => !name.includes(".") && !OWN.has(name));
  return {
    entities,
    times: named(TIME)!.values,
    labels,
    ...(labelType === "boolean" ? { labelType } : {}),
    ...(labelCategories === undefined ? {} : { labelCategories }),
    ...(mature === undefined ? {} : { mature: Uint8Array.from(mature.values) }),
    features: all.filter(({ name }) => name.includes(".")),
    ...(carried.length === 0 ? {} : { carried }),
  };
}

const OWN: ReadonlySet<string> = new Set([ENTITY, TIME, LABEL, MATURE]);

/** The columns of values, of which there are a label and a time for certain. */
function columnsOf({ schema }: FileMetaData): { name: string; type: "boolean" | "text" | undefined }[] {
  const columns = schema.slice(1);
  const names = columns.map(({ name }) => name);
  const missing = [ENTITY, TIME, LABEL].filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw new AppError(
      "invalid",
      `Cannot read the training set: it lacks the column "${missing[0]}", it has ${names.join(", ")}`,
    );
  }
  return columns.filter(({ name }) => name !== ENTITY).map(({ name, type }) => ({
    name,
    type: type === "BYTE_ARRAY" ? "text" : type === "BOOLEAN" ? "boolean" : undefined,
  }));
}

/** Collects a column that comes in pieces, in any order. */
function readInto({ name, type }: { name: string; type: "boolean" | "text" | undefined }, rows: number) {
  const values = new Float64Array(rows);
  const texts = createTextCodes();
  return {
    take(cells: ArrayLike<unknown>, rowStart: number): void {
      for (let index = 0; index < cells.length; index++) {
        const cell = cells[index] ?? NaN;
        values[rowStart + index] = typeof cell === "string" ? texts.codeOf(cell) : Number(cell);
      }
    },
    finish(): TrainingSetColumn {
      if (type === undefined) return { name, values };
      return type === "boolean"
        ? { name, values, type }
        : { name, values, type, categories: texts.inOrder(values) };
    },
  };
}
