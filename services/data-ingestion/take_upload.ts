/** The use case of taking the bytes of an upload. @module */
import { FILE_RECORDS_TYPE, type Upload } from "shared/contracts/data_ingestion.ts";
import { HEADER } from "shared/contracts/envelope.ts";
import { subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Outgoing } from "shared/bus/message.ts";
import type { Database } from "shared/db/connection.ts";
import { AppError, conflict, invalid, messageOf } from "shared/errors.ts";
import { readTextFile } from "shared/files/text_file.ts";
import type { Logger } from "shared/log.ts";
import type { Privacy } from "shared/privacy.ts";
import { answerInTime } from "./answer_in_time.ts";
import { type Capacity, PARQUET_BYTES, reserveBytes, STREAM_BYTES } from "./capacity.ts";
import { chunkFile, type FileChunk } from "./domain/file_chunks.ts";
import { protectionOf } from "./domain/protect_intake.ts";
import type { Source } from "./domain/source.ts";
import { publishChunks } from "./publish_chunks.ts";
import {
  advanceUpload,
  type Hold,
  holdUpload,
  keepHold,
  releaseUpload,
  type UploadPosition,
} from "./repository/uploads.ts";
import { readSpooledParquet } from "./spool.ts";
import { findUpload } from "./uploads.ts";

export interface TakeUploadDeps {
  db: Database;
  publish(messages: readonly Outgoing[]): Promise<void>;
  findSource(name: string): Promise<Source | undefined>;
  /** For sources with secrets. Undefined: nobody has set a key. */
  privacy: Privacy | undefined;
  /** Where Parquet files lie while they are read. */
  spool: { folder: string; maxBytes: number };
  /** Bytes of bodies that are in memory. */
  capacity: Capacity;
  /** How long the database may take to answer. */
  answerMs: number;
  log: Logger;
}

export interface UploadPart {
  upload: string;
  /** Where the sender believes the upload to stand. */
  offset: number;
  /** Whether the file ends with these bytes. */
  complete: boolean;
  bytes: AsyncIterable<Uint8Array>;
  /** Of every message made of them. */
  headers: Readonly<Record<string, string>>;
}

/** The upload stands elsewhere than its sender believes. */
export class WrongOffset extends AppError {
  constructor(readonly upload: Upload, given: number) {
    const { offset } = upload;
    super("conflict", `Cannot go on with the upload at ${given}: it stands at ${offset}`, {
      reasons: [{ path: "/Upload-Offset", message: `is ${given}, and must be ${offset}` }],
    });
  }
}

/** A sender that gives no sign of life for so long is given up ... */
const HOLD_SECONDS = 10;
/** ... so it gives one this often. */
const KEEP_EVERY_MS = 3_000;

/**
 * Takes bytes of a file: publishes the records in them, and notes how far that is whenever JetStream has them. What
 * breaks off goes on from there; the last record of a part, which may not be whole, is left for the next.
 *
 * @returns the upload as it stands then
 * @throws {WrongOffset} with the right one
 * @throws {AppError} `not_found`; `conflict` when it is complete, or somebody else is at it; `invalid` when the file
 * cannot be read
 */
export async function takeUpload(deps: TakeUploadDeps, part: UploadPart): Promise<Upload> {
  const { db, log } = deps;
  const upload = await inTime(deps, findUpload(deps, part.upload));
  const isParquet = upload.options.format === "parquet";
  if (isParquet && !part.complete) {
    throw invalid("Cannot take a part of a Parquet file: send the whole file, with Upload-Complete: ?1");
  }
  using _reserved = reserveBytes(deps.capacity, isParquet ? PARQUET_BYTES : STREAM_BYTES);
  const hold: Hold = { upload: part.upload, holder: crypto.randomUUID() };
  const position = await inTime(deps, begin(db, hold, part.offset));
  const keeping = setInterval(() => {
    keepHold(db, hold, HOLD_SECONDS).catch((error) =>
      // The next note of how far it is will tell whether that matters.
      log.warn({ upload: hold.upload }, `Cannot keep hold of an upload: ${messageOf(error)}`)
    );
  }, KEEP_EVERY_MS);
  let state: Upload["state"] = "open";
  try {
    await takeRecords(deps, part, { upload, hold, position });
    if (part.complete) state = "complete";
  } finally {
    clearInterval(keeping);
    await letGo(deps, hold, state);
  }
  return await inTime(deps, findUpload(deps, part.upload));
}

/** Between its steps an upload takes as long as its sender does; each of them must not. */
function inTime<T>({ answerMs }: TakeUploadDeps, step: Promise<T>): Promise<T> {
  return answerInTime(step, { action: "go on with the upload", withinMs: answerMs });
}

async function begin(db: Database, hold: Hold, offset: number): Promise<UploadPosition> {
  const position = await holdUpload(db, hold, { offset, seconds: HOLD_SECONDS });
  if (position !== undefined) return position;
  const stands = await findUpload({ db }, hold.upload);
  if (stands.state === "complete") throw conflict(`Cannot go on with the upload: it is complete`);
  if (stands.offset !== offset) throw new WrongOffset(stands, offset);
  throw new AppError("conflict", "Cannot go on with the upload: somebody else is sending it", {
    retryAfter: HOLD_SECONDS,
  });
}

/** If that fails, the hold ends by itself; only that the file is complete must not be lost. */
async function letGo(deps: TakeUploadDeps, hold: Hold, state: Upload["state"]): Promise<void> {
  const { db, log } = deps;
  try {
    await inTime(deps, releaseUpload(db, hold, state));
  } catch (error) {
    if (state === "complete") throw error;
    log.warn({ upload: hold.upload }, `Cannot let go of an upload: ${messageOf(error)}`);
  }
}

async function takeRecords(
  deps: TakeUploadDeps,
  part: UploadPart,
  { upload, hold, position }: { upload: Upload; hold: Hold; position: UploadPosition },
): Promise<void> {
  let stands = position;
  const advance = async (next: Partial<UploadPosition>) => {
    stands = { ...stands, ...next };
    if (await inTime(deps, advanceUpload(deps.db, hold, stands))) return;
    throw conflict("Cannot go on with the upload: somebody else is sending it");
  };
  const { protect, headers } = protectionOf(await inTime(deps, deps.findSource(upload.source)), {
    privacy: deps.privacy,
    arrivedAt: toInstant(Date.now()),
  });
  const records = upload.options.format === "parquet"
    ? readSpooledParquet(part.bytes, { ...deps.spool, row: position.offset })
    : readTextFile(part.bytes, upload.options, {
      offset: position.offset,
      line: position.line,
      ...(position.header === null ? {} : { header: position.header }),
      complete: part.complete,
      onHeader(header, { line, end }) {
        stands = { ...stands, header, line, offset: end };
      },
    });
  const chunks = chunkFile(records, {
    file: upload.sha256 ?? upload.upload,
    protect: protect?.fileRecord,
  });
  await publishChunks(chunks, {
    publish: deps.publish,
    subject: subject.events(upload.source),
    headers: { ...part.headers, ...headers, [HEADER.contentType]: FILE_RECORDS_TYPE },
    messageId: ({ firstLine, lastLine }) => `${upload.source}:${upload.upload}:${firstLine}-${lastLine}`,
    onPublished: (chunks) => advance(behind(chunks, stands.records)),
  });
  // A part may hold no more than the header.
  if (stands.records === position.records && stands.offset !== position.offset) await advance({});
}

function behind(chunks: readonly FileChunk[], before: number): Omit<UploadPosition, "header"> {
  const last = chunks.at(-1)!;
  const records = chunks.reduce((sum, chunk) => sum + chunk.records, before);
  return { offset: last.end, line: last.lastLine, records };
}
