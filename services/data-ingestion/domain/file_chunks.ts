import type { FileRecord } from "shared/contracts/data_ingestion.ts";
import { MAX_BATCH_EVENTS } from "shared/contracts/envelope.ts";
import { keptText, type ReadFileRecord } from "shared/files/file_record.ts";
import { BodyPacker, MAX_MESSAGE_BYTES } from "./body_packer.ts";

/** The body of a message with records of a file. */
export interface FileChunk {
  data: Uint8Array;
  records: number;
  /** The line that its first record begins in, and the one that its last record ends in. */
  firstLine: number;
  lastLine: number;
  /** The byte behind its last record; in Parquet the number of rows up to it. */
  end: number;
}

export interface FileChunkOptions {
  /** Names the file's records, with their lines. */
  file: string;
  /** What of a record may be published, where not all of it may. */
  protect?: ((record: ReadFileRecord) => FileRecord) | undefined;
}

const encoder = new TextEncoder();

/**
 * Packs records of a file into messages. Where a message ends depends on lines and sizes alone, and not on where
 * reading began: what is read again, from any line on, becomes the same messages again but for the first and the last.
 * When reading fails, what was read before comes first.
 */
export async function* chunkFile(
  records: AsyncIterable<ReadFileRecord>,
  { file, protect }: FileChunkOptions,
): AsyncGenerator<FileChunk> {
  const packer = new BodyPacker(`{"file":${JSON.stringify(file)},"records":[`, "]}");
  let first: ReadFileRecord | undefined;
  let last: ReadFileRecord | undefined;
  const close = (): FileChunk => {
    const chunk = {
      records: packer.records,
      data: packer.close(),
      firstLine: first!.line,
      lastLine: last!.lastLine,
      end: last!.end,
    };
    first = undefined;
    return chunk;
  };
  try {
    for await (const record of records) {
      const bytes = encode(record, protect);
      if (first !== undefined && (!packer.hasRoom(bytes.length) || section(record) > section(first))) {
        yield close();
      }
      first ??= record;
      last = record;
      packer.add(bytes);
    }
  } catch (error) {
    if (first !== undefined) yield close();
    throw error;
  }
  if (first !== undefined) yield close();
}

/** Messages begin anew every so many lines, wherever reading began. */
const section = ({ line }: ReadFileRecord) => Math.floor((line - 1) / MAX_BATCH_EVENTS);

function encode(record: ReadFileRecord, protect: FileChunkOptions["protect"]): Uint8Array {
  const bytes = encoder.encode(protect === undefined ? recordText(record) : JSON.stringify(protect(record)));
  if (bytes.length <= MAX_MESSAGE_BYTES) return bytes;
  const { line } = record;
  const reason = `has ${bytes.length} bytes as JSON, and may have ${MAX_MESSAGE_BYTES}`;
  const text = keptText("data" in record ? record.json ?? JSON.stringify(record.data) : record.text);
  const short: ReadFileRecord = { ...record, text, reason };
  return encoder.encode(JSON.stringify(protect?.(short) ?? { line, text, reason }));
}

/** JSON goes on as it stands in the file, so that whoever judges it can tell what parsing it has rounded. */
function recordText(record: ReadFileRecord): string {
  const { line } = record;
  if ("data" in record) return `{"line":${line},"data":${record.json ?? JSON.stringify(record.data)}}`;
  const { text, reason } = record;
  return JSON.stringify({ line, text, ...(reason === undefined ? {} : { reason }) });
}
