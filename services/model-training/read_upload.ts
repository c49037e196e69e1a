/** Files that come with an HTTP request. @module */
import type { Context } from "hono";
import { AppError, invalid, messageOf } from "shared/errors.ts";

export interface Upload {
  bytes: Uint8Array;
  /** Empty where the request says none. */
  mediaType: string;
  /** What is said besides: in the query, or as JSON in the part `request` of a form. */
  fields: Record<string, unknown>;
}

/** Where nobody has told it what it sends. */
const SAID_BY_CURL = "application/x-www-form-urlencoded";

/**
 * The body, or the part `file` of a form.
 *
 * @param action what can't be done when it can't be read
 * @throws {AppError} `invalid` for a form that is none; `too_large`
 */
export async function readUpload(c: Context, action: string): Promise<Upload> {
  const mediaType = c.req.header("content-type") ?? "";
  if (!mediaType.startsWith("multipart/form-data")) {
    const isSaid = !mediaType.startsWith(SAID_BY_CURL);
    return { bytes: await c.req.raw.bytes(), mediaType: isSaid ? mediaType : "", fields: c.req.query() };
  }
  const form = await c.req.raw.formData().catch((error) => {
    throw error instanceof AppError
      ? error
      : invalid(`Cannot ${action}: the form can't be read: ${messageOf(error)}`);
  });
  const file = form.get("file");
  if (!(file instanceof File)) {
    throw invalid(`Cannot ${action}: the form must have a file as its part "file"`);
  }
  const request = form.get("request") ?? "{}";
  const text = request instanceof File ? await request.text() : request;
  try {
    return { bytes: await file.bytes(), mediaType: file.type, fields: JSON.parse(text) };
  } catch (error) {
    throw invalid(`Cannot ${action}: the part "request" of the form must be JSON: ${messageOf(error)}`);
  }
}
