/**
 * Training sets as Parquet files: what the feature store writes and the trainers read. The columns are those of
 * `TRAINING_SET_COLUMN`, then the features in the order of their feature service. The same table gives the same bytes.
 *
 * @module
 */
import { setImmediate } from "node:timers/promises";
import { parquetMetadata, parquetRead } from "hyparquet";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { TRAINING_SET_COLUMN } from "./contracts/feature_store.ts";
import { AppError, messageOf } from "./errors.ts";

/** Observations column by column; every column has one element a row. */
export interface TrainingSetTable {
  /** Canonical entity keys. */
  readonly entities: readonly string[];
  /** T, milliseconds since 1970. */
  readonly times: Float64Array;
  /** NaN where the row is immature. */
  readonly labels: Float64Array;
  /** In the order of the feature service; NaN is null. */
  readonly features: readonly TrainingSetFeature[];
}

export interface TrainingSetFeature {
  /** `view.feature` */
  readonly name: string;
  readonly values: Float64Array;
}

/** Rows that are encoded in one go; between them the event loop has its turn. */
const ROWS_A_GROUP = 2_048;

const { entity: ENTITY, time: TIME, label: LABEL } = TRAINING_SET_COLUMN;

/** Infinite values have no place in a training set: they are written as they are, and the trainers refuse them. */
export async function writeTrainingSet(table: TrainingSetTable): Promise<Uint8Array> {
  const { entities, times, labels, features } = table;
  const bytes = new ByteWriter();
  const file = new ParquetWriter({
    writer: bytes,
    schema: [
      { name: "root", num_children: 3 + features.length },
      { name: ENTITY, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
      { name: TIME, type: "INT64", converted_type: "TIMESTAMP_MILLIS", repetition_type: "REQUIRED" },
      ...[LABEL, ...features.map(({ name }) => name)].map((name) => (
        { name, type: "DOUBLE", repetition_type: "OPTIONAL" } as const
      )),
    ],
    // Nobody searches a training set: it is read whole.
    statistics: false,
    createdBy: "microml",
  });
  for (let first = 0; first < entities.length; first += ROWS_A_GROUP) {
    const end = Math.min(first + ROWS_A_GROUP, entities.length);
    await file.write({
      columnData: [
        { name: ENTITY, data: entities.slice(first, end) },
        { name: TIME, data: toIntegers(times, first, end) },
        { name: LABEL, data: withNulls(labels, first, end), encoding: "PLAIN" },
        ...features.map(({ name, values }) => ({
          name,
          data: withNulls(values, first, end),
          encoding: "PLAIN" as const,
        })),
      ],
      rowGroupSize: ROWS_A_GROUP,
    });
    await setImmediate();
  }
  await file.finish();
  return bytes.getBytes();
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
  const names = metadata.schema.slice(1).map(({ name }) => name);
  const required: string[] = [ENTITY, TIME, LABEL];
  const missing = required.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw new AppError(
      "invalid",
      `Cannot read the training set: it lacks the column "${missing[0]}", it has ${names.join(", ")}`,
    );
  }
  const entities = new Array<string>(rows);
  const numbers = new Map(
    names.filter((name) => name !== ENTITY).map((name) => [name, new Float64Array(rows)]),
  );
  await parquetRead({
    file: { byteLength: buffer.byteLength, slice: (start, end) => buffer.slice(start, end) },
    metadata,
    parsers: { timestampFromMilliseconds: Number },
    onChunk: ({ columnName, columnData, rowStart }) => {
      const column = numbers.get(columnName);
      for (let index = 0; index < columnData.length; index++) {
        if (column === undefined) entities[rowStart + index] = columnData[index];
        else column[rowStart + index] = columnData[index] ?? NaN;
      }
    },
  });
  return {
    entities,
    times: numbers.get(TIME)!,
    labels: numbers.get(LABEL)!,
    features: names
      .filter((name) => !required.includes(name))
      .map((name) => ({ name, values: numbers.get(name)! })),
  };
}

function withNulls(values: Float64Array, first: number, end: number): (number | null)[] {
  const cells = new Array<number | null>(end - first);
  for (let row = first; row < end; row++) {
    const value = values[row]!;
    cells[row - first] = Number.isNaN(value) ? null : value;
  }
  return cells;
}

function toIntegers(values: Float64Array, first: number, end: number): BigInt64Array {
  const cells = new BigInt64Array(end - first);
  for (let row = first; row < end; row++) cells[row - first] = BigInt(values[row]!);
  return cells;
}
