/** `PATCH /v1/uploads/{upload}`: the bytes of a file, all at once or in parts. @module */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { z } from "zod";
import type { Upload } from "shared/contracts/data_ingestion.ts";
import { invalid } from "shared/errors.ts";
import { problemResponse } from "shared/http/problem.ts";
import { parseWith } from "shared/validation.ts";
import { type UploadPart, WrongOffset } from "../take_upload.ts";
import { type BodyDeps, readBytes } from "./body.ts";
import { messageHeaders } from "./message_headers.ts";

export interface UploadRouteDeps extends BodyDeps {
  takeUpload(part: UploadPart): Promise<Upload>;
}

export const UPLOAD_PATH = "/v1/uploads/:upload";

/** Where an upload stands, in requests and in answers, as in the resumable uploads of the IETF's draft. */
export const OFFSET_HEADER = "Upload-Offset";
/** `?1`: the file ends with this body. */
export const COMPLETE_HEADER = "Upload-Complete";

/** Answered with the upload as it stands then; 409 tells where it stands in the header `Upload-Offset`. */
export function addUploadRoute(app: OpenAPIHono, deps: UploadRouteDeps): void {
  app.patch(UPLOAD_PATH, async (c) => {
    const upload = parseWith(z.uuid(), c.req.param("upload"), "go on with the upload: its name");
    const offset = offsetOf(c);
    const complete = isComplete(c);
    try {
      const stands = await deps.takeUpload({
        upload,
        offset,
        complete,
        bytes: readBytes(c, deps),
        headers: messageHeaders(c),
      });
      return c.json(stands, 200, { [OFFSET_HEADER]: String(stands.offset) });
    } catch (error) {
      if (!(error instanceof WrongOffset)) throw error;
      return problemResponse("conflict", error.message, {
        reasons: error.reasons,
        headers: { [OFFSET_HEADER]: String(error.upload.offset) },
      });
    }
  });
}

function offsetOf(c: Context): number {
  const given = c.req.header(OFFSET_HEADER) ?? "";
  if (/^\d{1,15}$/.test(given)) return Number(given);
  throw invalid(
    `Cannot go on with the upload: the header ${OFFSET_HEADER} is "${given}", and must be a number of bytes`,
  );
}

function isComplete(c: Context): boolean {
  const given = c.req.header(COMPLETE_HEADER) ?? "?0";
  if (given === "?1" || given === "?0") return given === "?1";
  throw invalid(
    `Cannot go on with the upload: the header ${COMPLETE_HEADER} is "${given}", and must be ?1 or ?0`,
  );
}
