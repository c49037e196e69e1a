/** Files over HTTP: training sets going out, spines coming in. @module */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { FileStore } from "shared/bus/files.ts";
import type { TrainingSetStatus } from "shared/contracts/feature_store.ts";
import { conflict, invalid, notFound } from "shared/errors.ts";
import { PROBLEM_TYPE, problemSchema } from "shared/http/problem.ts";
import { parseWith } from "shared/validation.ts";

export interface RouteDeps {
  files: Pick<FileStore, "put" | "stream">;
  findTrainingSet: (id: string) => Promise<TrainingSetStatus | undefined>;
}

export const SPINE_FILES_PATH = "/v1/spine-files";
/** A spine file is held in memory while it is stored. */
export const MAX_SPINE_FILE_BYTES = 256 * 1024 * 1024;
const PARQUET_TYPE = "application/vnd.apache.parquet";

export function addRoutes(app: OpenAPIHono, { files, findTrainingSet }: RouteDeps): void {
  describeRoutes(app);

  app.get("/v1/training-sets/:id/file", async (c) => {
    const id = parseWith(z.uuid(), c.req.param("id"), "read the file of the training set: its name");
    const trainingSet = await findTrainingSet(id);
    if (trainingSet === undefined) throw notFound(`Cannot read the training set ${id}: there is none`);
    const { result, status } = trainingSet;
    if (result === null) throw conflict(`Cannot read the file of the training set ${id}: it is ${status}`);

    const etag = `"${result.sha256}"`;
    const headers = {
      etag,
      "accept-ranges": "bytes",
      "cache-control": "private, immutable, max-age=31536000",
    };
    if (c.req.header("if-none-match") === etag) return c.body(null, 304, headers);
    const range = rangeOf(c.req.header("range"), result.bytes);
    if (range === "unsatisfiable") {
      return c.body(null, 416, { ...headers, "content-range": `bytes */${result.bytes}` });
    }
    const { bytes } = await files.stream(result.sha256);
    const typed = { ...headers, "content-type": PARQUET_TYPE };
    const named = { ...typed, "content-disposition": `attachment; filename="training-set-${id}.parquet"` };
    if (range === undefined) return c.body(bytes, 200, { ...named, "content-length": String(result.bytes) });
    return c.body(bytes.pipeThrough(cut(range)), 206, {
      ...named,
      "content-length": String(range.end - range.start),
      "content-range": `bytes ${range.start}-${range.end - 1}/${result.bytes}`,
    });
  });

  app.post(SPINE_FILES_PATH, async (c) => {
    const bytes = new Uint8Array(await c.req.arrayBuffer());
    if (bytes.byteLength === 0) throw invalid("Cannot store the spine: the request has no body");
    return c.json({ sha256: await files.put(bytes), bytes: bytes.byteLength }, 201);
  });
}

interface ByteRange {
  start: number;
  /** Behind the last byte. */
  end: number;
}

/** One range of bytes (RFC 9110, section 14.2); what is not one is passed over, as the RFC has it. */
function rangeOf(header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (match === null || match[0] === "bytes=-") return undefined;
  const [, first = "", last = ""] = match;
  const range = first === ""
    ? { start: Math.max(0, size - Number(last)), end: size }
    : { start: Number(first), end: last === "" ? size : Math.min(Number(last) + 1, size) };
  return range.start < range.end ? range : "unsatisfiable";
}

function cut({ start, end }: ByteRange): TransformStream<Uint8Array, Uint8Array> {
  let offset = 0;
  return new TransformStream({
    transform(chunk, controller) {
      const part = chunk.subarray(Math.max(0, start - offset), Math.max(0, end - offset));
      offset += chunk.byteLength;
      if (part.byteLength > 0) controller.enqueue(part);
      if (offset >= end) controller.terminate();
    },
  });
}

function describeRoutes(app: OpenAPIHono): void {
  const problem = (description: string) => ({
    description,
    content: { [PROBLEM_TYPE]: { schema: problemSchema } },
  });
  const file = z.string().openapi({ format: "binary" });
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/v1/training-sets/{id}/file",
    operationId: "training-set-file",
    tags: ["feature-store"],
    summary: "The Parquet file of a training set that is done; its ETag is its SHA-256",
    request: { params: z.object({ id: z.uuid() }) },
    responses: {
      200: { description: "The file", content: { [PARQUET_TYPE]: { schema: file } } },
      206: { description: "A range of its bytes", content: { [PARQUET_TYPE]: { schema: file } } },
      304: { description: "The caller has it" },
      404: problem("There is no such training set"),
      409: problem("It is not done"),
      416: { description: "A range outside of the file" },
    },
  });
  app.openAPIRegistry.registerPath({
    method: "post",
    path: SPINE_FILES_PATH,
    operationId: "spine-file",
    tags: ["feature-store"],
    summary: "Store a spine as a file: CSV, lines of JSON or Parquet",
    request: { body: { required: true, content: { "application/octet-stream": { schema: file } } } },
    responses: {
      201: {
        description: "How to name it in a training set",
        content: { "application/json": { schema: z.object({ sha256: z.string(), bytes: z.int() }) } },
      },
      413: problem("Larger than 256 MiB"),
    },
  });
}
