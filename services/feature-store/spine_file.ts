/** The rows of a spine that was given, inline or as a file. @module */
import type { GivenSpine } from "shared/contracts/feature_store.ts";
import { readParquetFile } from "shared/files/parquet_file.ts";
import { readTextFile } from "shared/files/text_file.ts";
import type { GivenRows } from "./domain/given_rows.ts";
import { createSpineReader, type GivenSpineOptions } from "./domain/given_spine.ts";

/**
 * @param file its bytes, where the spine is one
 * @throws {AppError} `invalid`, with the first mistakes and where they stand
 */
export async function readGivenSpine(
  spine: GivenSpine,
  { file, ...options }: Omit<GivenSpineOptions, "time" | "isText"> & { file: Uint8Array | undefined },
): Promise<GivenRows> {
  const isText = "file" in spine && spine.format === "csv";
  const reader = createSpineReader({ ...options, time: spine.time, isText });
  if ("rows" in spine) {
    for (const row of spine.rows) reader.add(row);
    return reader.finish();
  }
  for await (const content of recordsOf(spine, file!)) {
    if ("data" in content) reader.add(content.data);
    else reader.refuse({ path: `/spine/lines/${content.line}`, message: content.reason ?? "is no record" });
  }
  return reader.finish();
}

function recordsOf({ format, delimiter }: Extract<GivenSpine, { file: string }>, file: Uint8Array) {
  if (format !== "parquet") {
    return readTextFile(ReadableStream.from([file]), { format, delimiter, empty: "omit" });
  }
  const { buffer, byteOffset } = file;
  return readParquetFile({
    byteLength: file.byteLength,
    slice: (start, end = file.byteLength) =>
      Promise.resolve((buffer as ArrayBuffer).slice(byteOffset + start, byteOffset + end)),
  });
}
