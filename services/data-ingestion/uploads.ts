/** The use case of uploading a file: beginning, asking how far it is, and forgetting it in the end. @module */
import { v7 as uuidv7 } from "uuid";
import { startUpload, type Upload } from "shared/contracts/data_ingestion.ts";
import type { CallContext, RequestOf } from "shared/contracts/endpoint.ts";
import type { Database } from "shared/db/connection.ts";
import { once } from "shared/db/idempotency.ts";
import { invalid, notFound } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart } from "shared/periodic_part.ts";
import type { Source } from "./domain/source.ts";
import { forgetUploads, insertUpload, selectUpload } from "./repository/uploads.ts";

export interface UploadsDeps {
  db: Database;
  findSource(name: string): Promise<Source | undefined>;
}

/**
 * Begins an upload. The same file for the same source, to be read in the same way, is found again: as it was left, or
 * complete.
 *
 * @throws {AppError} `not_found` when the source is not defined, `invalid` when it does not take such files
 */
export async function beginUpload(
  { db, findSource }: UploadsDeps,
  request: RequestOf<typeof startUpload>,
  context: Pick<CallContext, "idempotencyKey" | "actor">,
): Promise<Upload> {
  const { source: name, name: file, options, sha256 = null } = request;
  const source = await findSource(name);
  if (source === undefined) {
    throw notFound(`Cannot upload "${file}": there is no source "${name}"; define it first`);
  }
  refuseLines(source, options.format === "lines", `upload "${file}"`);
  const upload = { upload: uuidv7(), source: name, name: file, options, sha256, actor: context.actor };
  return await once(
    db,
    context,
    { endpoint: startUpload.subject, request },
    (tx) => insertUpload(tx, upload),
  );
}

/** Lines are records only where the source says how to read them. */
export function refuseLines(source: Source | undefined, isLines: boolean, action: string): void {
  if (!isLines || source === undefined || source.lines !== undefined) return;
  throw invalid(
    `Cannot ${action}: the source "${source.name}" is of ${source.body.kind}, and lines of text need one of logs`,
  );
}

/** @throws {AppError} `not_found` */
export async function findUpload({ db }: Pick<UploadsDeps, "db">, upload: string): Promise<Upload> {
  const found = await selectUpload(db, upload);
  if (found === undefined) {
    throw notFound(
      `Cannot find the upload ${upload}: it never began, or nobody went on with it for ${KEPT_DAYS} days`,
    );
  }
  return found;
}

/** An upload is remembered for so long after its last byte, complete or not. */
const KEPT_DAYS = 30;
const SWEEP_MS = 3_600_000;

/** Forgets old uploads. What was taken of them stays. */
export function createUploadSweeper({ db, log }: { db: Database; log: Logger }): Part {
  return createPeriodicPart({
    name: "uploads",
    action: "forget old uploads",
    everyMs: SWEEP_MS,
    log,
    async work() {
      const forgotten = await forgetUploads(db, KEPT_DAYS);
      if (forgotten > 0) log.info({ forgotten }, "Forgot old uploads");
    },
  });
}
