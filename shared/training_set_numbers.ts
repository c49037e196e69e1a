/**
 * Columns of numbers in a Parquet file, written as they lie in memory. They are nearly all of a training set, and the
 * writer that knows every type handles them value by value.
 *
 * @module
 */
import type { ColumnChunk } from "hyparquet";
import { ByteWriter } from "hyparquet-writer";
import { writePageHeader } from "hyparquet-writer/src/datapage.js";
import { writeRleBitPackedHybrid } from "hyparquet-writer/src/encoding.js";
import { snappyCompress } from "hyparquet-writer/src/snappy.js";
import { presentOf } from "./training_set_table.ts";

/**
 * Writes the cells of a column of optional DOUBLE as one page; NaN is null.
 *
 * @returns what the row group must say of it
 */
export function writeNumbers(writer: ByteWriter, name: string, cells: Float64Array): ColumnChunk {
  const start = writer.offset;
  const present = presentOf(cells);
  const levels = new ByteWriter();
  writeRleBitPackedHybrid(levels, levelsOf(cells), 1);
  const values = new Uint8Array(present.buffer, present.byteOffset, present.byteLength);
  const codec = isVaried(present) ? "UNCOMPRESSED" : "SNAPPY";
  const stored = codec === "SNAPPY" ? snappyCompress(values) : values;
  writePageHeader(writer, {
    type: "DATA_PAGE_V2",
    uncompressed_page_size: levels.offset + values.length,
    compressed_page_size: levels.offset + stored.length,
    data_page_header_v2: {
      num_values: cells.length,
      num_nulls: cells.length - present.length,
      num_rows: cells.length,
      encoding: "PLAIN",
      definition_levels_byte_length: levels.offset,
      repetition_levels_byte_length: 0,
      is_compressed: true,
    },
  });
  const header = writer.offset - start;
  writer.appendBytes(levels.getBytes());
  writer.appendBytes(stored);
  return {
    file_offset: BigInt(start),
    meta_data: {
      type: "DOUBLE",
      encodings: ["PLAIN"],
      path_in_schema: [name],
      codec,
      num_values: BigInt(cells.length),
      total_uncompressed_size: BigInt(header + levels.offset + values.length),
      total_compressed_size: BigInt(writer.offset - start),
      data_page_offset: BigInt(start),
    },
  };
}

/** By cell: 1 where there is a value. */
function levelsOf(cells: Float64Array): Uint8Array {
  const levels = new Uint8Array(cells.length);
  for (let row = 0; row < cells.length; row++) levels[row] = Number.isNaN(cells[row]!) ? 0 : 1;
  return levels;
}

const LOOKED_AT = 64;

/** Numbers of which hardly any is there twice: packing them takes time, and makes them no smaller. */
function isVaried(cells: Float64Array): boolean {
  const step = Math.max(1, Math.floor(cells.length / LOOKED_AT));
  const seen = new Set<number>();
  let looked = 0;
  for (let index = 0; index < cells.length; index += step) {
    looked++;
    seen.add(cells[index]!);
  }
  return seen.size > looked * 0.75;
}
