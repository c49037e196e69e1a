/** Sends a file to an upload, from where that stands to its end. @module */
import { type Upload, uploadSchema } from "shared/contracts/data_ingestion.ts";
import { delay } from "shared/delay.ts";
import { AppError, invalid } from "shared/errors.ts";
import { type IntakeClient, isPassing, pauseMs } from "./intake_client.ts";
import { PieceReader, readLocalFile } from "./local_file.ts";

export interface SendProgress {
  /** As it stands now. */
  upload: Upload;
  /** Records that were taken since this began, and for how long it has been going on. */
  records: number;
  elapsedMs: number;
}

export interface SendFileOptions {
  path: string;
  upload: Upload;
  onProgress(progress: SendProgress): void;
  /** Bytes in one request. Default 4 MiB. */
  pieceBytes?: number;
  /** How long to go on without getting any further. Default ten minutes. */
  patienceMs?: number;
}

const PIECE_BYTES = 4 * 1024 * 1024;
/** A piece grows up to this where no record in it is whole. */
const MAX_PIECE_BYTES = 64 * 1024 * 1024;
const PATIENCE_MS = 600_000;

/**
 * Sends a file piece by piece; a Parquet file, which is read from its end, in one. What fails is tried again from where
 * the service says that it stands.
 *
 * @returns the upload, complete
 * @throws {AppError} what the service refuses for good; `unavailable` when there was no getting further for too long
 */
export async function sendFile(client: IntakeClient, options: SendFileOptions): Promise<Upload> {
  const { path, onProgress, patienceMs = PATIENCE_MS } = options;
  const startedAt = performance.now();
  const isParquet = options.upload.options.format === "parquet";
  await using pieces = new PieceReader(path);
  let { upload } = options;
  let pieceBytes = options.pieceBytes ?? PIECE_BYTES;
  let furtherAt = performance.now();
  let failures = 0;
  while (upload.state === "open") {
    const before = upload.offset;
    try {
      upload = isParquet
        ? await sendWhole(client, upload, path)
        : await sendPiece(client, upload, pieces, pieceBytes);
      failures = 0;
      if (upload.state === "open" && upload.offset === before) pieceBytes = larger(pieceBytes, upload);
    } catch (error) {
      if (!isPassing(error) && !isConflict(error)) throw error;
      if (performance.now() - furtherAt > patienceMs) throw error;
      await delay(pauseMs(error, failures++));
      upload = await client.send({ method: "GET", path: `/v1/uploads/${upload.upload}` }, uploadSchema);
    }
    if (upload.offset > before) furtherAt = performance.now();
    onProgress({
      upload,
      records: upload.records - options.upload.records,
      elapsedMs: performance.now() - startedAt,
    });
  }
  return upload;
}

/** It stands elsewhere, or somebody else is sending it: both are seen by asking where it stands. */
function isConflict(error: unknown): error is AppError {
  return error instanceof AppError && error.code === "conflict";
}

function larger(pieceBytes: number, { line }: Upload): number {
  if (2 * pieceBytes <= MAX_PIECE_BYTES) return 2 * pieceBytes;
  throw invalid(`Cannot load the file: there is no end to line ${line + 1} within ${MAX_PIECE_BYTES} bytes`);
}

async function sendPiece(
  client: IntakeClient,
  upload: Upload,
  pieces: PieceReader,
  pieceBytes: number,
): Promise<Upload> {
  const { bytes, isLast } = await pieces.read(upload.offset, pieceBytes);
  return await patch(client, upload, { body: () => bytes, isLast });
}

async function sendWhole(client: IntakeClient, upload: Upload, path: string): Promise<Upload> {
  return await patch(client, upload, { body: () => ReadableStream.from(readLocalFile(path)), isLast: true });
}

function patch(
  client: IntakeClient,
  { upload, offset }: Upload,
  { body, isLast }: { body: () => BodyInit; isLast: boolean },
): Promise<Upload> {
  return client.sendOnce({
    method: "PATCH",
    path: `/v1/uploads/${upload}`,
    headers: {
      "content-type": "application/octet-stream",
      "upload-offset": String(offset),
      "upload-complete": isLast ? "?1" : "?0",
    },
    body,
  }, uploadSchema);
}
