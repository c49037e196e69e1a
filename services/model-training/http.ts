/** Routes that need HTTP itself: events as they come, and files. @module */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import { z } from "zod";
import { closed } from "shared/contracts/closed.ts";
import type { CallContext, ReplyOf } from "shared/contracts/endpoint.ts";
import {
  type Artifact,
  type ImportRequest,
  importRequestSchema,
  importVersion,
  logArtifact,
  type RunEvent,
} from "shared/contracts/model_training.ts";
import { nameSchema } from "shared/contracts/names.ts";
import { notFound } from "shared/errors.ts";
import { callContext, readJson } from "shared/http/request.ts";
import { parseWith } from "shared/validation.ts";
import type { FollowOptions } from "./follow_run.ts";
import { readUpload } from "./read_upload.ts";

export interface RouteDeps {
  hasRun(id: string): Promise<boolean>;
  followRun(id: string, options: FollowOptions): AsyncIterable<RunEvent>;
  importVersion(request: ImportRequest, context: CallContext): Promise<ReplyOf<typeof importVersion>>;
  putArtifact(
    file: { id: string; name: string; mediaType: string; bytes: Uint8Array },
    context: CallContext,
  ): Promise<Artifact>;
  importFile(
    bytes: Uint8Array,
    request: Omit<ImportRequest, "sha256">,
    context: CallContext,
  ): Promise<ReplyOf<typeof importVersion>>;
  getArtifact(id: string, name: string): Promise<Artifact & { content: Uint8Array } | undefined>;
  renderCard(model: string, version: number): Promise<string>;
  getModelFile(model: string, version: number): Promise<{ sha256: string; content: Uint8Array } | undefined>;
}

const ARTIFACT = "/v1/runs/:id/artifacts/:name";
/** Paths whose bodies are files. */
export const FILE_PATHS = ["/v1/runs/*", "/v1/models/*"] as const;

const runId = z.uuid();
const versionSchema = z.object({ model: nameSchema, version: z.coerce.number().int().positive() });

const versionOf = (c: Context, action: string) => parseWith(versionSchema, c.req.param(), action);

export function addRoutes(app: OpenAPIHono, deps: RouteDeps): void {
  describeRoutes(app);

  app.get("/v1/runs/:id/events", async (c) => {
    const id = parseWith(runId, c.req.param("id"), "follow a run: its id");
    if (!await deps.hasRun(id)) throw notFound(`Cannot follow the run ${id}: there is none`);
    const after = Number(c.req.header("last-event-id") ?? 0) || 0;
    return streamSSE(c, async (stream) => {
      const ended = new AbortController();
      stream.onAbort(() => ended.abort());
      const onQuiet = async () => {
        // A comment: whoever stands between must not take the silence for an end.
        await stream.write(": still there\n\n");
      };
      for await (const event of deps.followRun(id, { after, signal: ended.signal, onQuiet })) {
        await stream.writeSSE({ id: String(event.sequence), event: "run", data: JSON.stringify(event) });
      }
    });
  });

  app.put(ARTIFACT, async (c) => {
    const { bytes, mediaType } = await readUpload(c, "keep an artifact");
    const named = parseWith(
      closed(logArtifact.spec.request.omit({ sha256: true })),
      {
        id: c.req.param("id"),
        name: c.req.param("name"),
        ...(mediaType === "" ? {} : { mediaType }),
      },
      "keep an artifact",
    );
    return c.json(await deps.putArtifact({ ...named, bytes }, callContext(c.req.raw.headers)), 201);
  });

  app.post("/v1/models/:model/versions", async (c) => {
    const context = callContext(c.req.raw.headers);
    const model = c.req.param("model");
    if (!HOLDS_FILE.test(c.req.header("content-type") ?? "")) {
      const named = parseWith(importVersion.spec.request, { ...await readJson(c) as object, model }, IMPORT);
      return c.json(await deps.importVersion(named, context), 201);
    }
    const { bytes, fields } = await readUpload(c, IMPORT);
    const named = parseWith(closed(importRequestSchema.omit({ sha256: true })), { ...fields, model }, IMPORT);
    return c.json(await deps.importFile(bytes, named, context), 201);
  });

  app.get(ARTIFACT, async (c) => {
    const id = parseWith(runId, c.req.param("id"), "get an artifact: the run's id");
    const name = c.req.param("name");
    const found = await deps.getArtifact(id, name);
    if (found === undefined) {
      throw notFound(`Cannot get the artifact "${name}" of the run ${id}: there is none`);
    }
    return file(c, found);
  });

  app.get("/v1/models/:model/versions/:version/card.html", async (c) => {
    const { model, version } = versionOf(c, "draw a model card");
    return c.html(await deps.renderCard(model, version), 200, {
      "cache-control": "no-cache",
      // Texts of users stand in it: nothing of them may run, whoever opens it.
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    });
  });

  app.get("/v1/models/:model/versions/:version/model.onnx", async (c) => {
    const { model, version } = versionOf(c, "get a model's file");
    const found = await deps.getModelFile(model, version);
    if (found === undefined) throw notFound(`Cannot get version ${version} of ${model}: there is none`);
    return file(c, { ...found, name: `${model}-${version}.onnx`, mediaType: "application/onnx" });
  });
}

const IMPORT = "import a version";
/** Types of a body with the file itself; any other is JSON that names it. */
const HOLDS_FILE = /^(?:application\/(?:onnx|octet-stream)|multipart\/form-data)\b/;

function file(
  c: Context,
  { name, mediaType, sha256, content }: Pick<Artifact, "name" | "mediaType" | "sha256"> & {
    content: Uint8Array;
  },
): Response {
  return c.body(content as Uint8Array<ArrayBuffer>, 200, {
    "content-type": mediaType,
    // Files of users: a browser must save them and not open them.
    "content-disposition": `attachment; filename="${name}"`,
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    etag: `"${sha256}"`,
  });
}

const FORM = {
  type: "object" as const,
  required: ["file"],
  properties: {
    file: { type: "string" as const, format: "binary" },
    request: { type: "string" as const, description: "The other fields, as JSON" },
  },
};

function describeRoutes(app: OpenAPIHono): void {
  const parameter = (name: string) => ({
    name,
    in: "path" as const,
    required: true,
    schema: { type: "string" as const },
  });
  const bytes = { "application/octet-stream": { schema: { type: "string" as const, format: "binary" } } };
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/v1/runs/{id}/events",
    summary: "How far a run is, as server-sent events; from the beginning, or after Last-Event-ID",
    parameters: [parameter("id")],
    responses: {
      200: { description: "Events", content: { "text/event-stream": { schema: { type: "string" } } } },
      404: { description: "There is no such run" },
    },
  });
  app.openAPIRegistry.registerPath({
    method: "put",
    path: "/v1/runs/{id}/artifacts/{name}",
    summary: "Keep a file with a run that is trained elsewhere",
    parameters: [parameter("id"), parameter("name")],
    requestBody: { required: true, content: { ...bytes, "multipart/form-data": { schema: FORM } } },
    responses: { 201: { description: "Kept" }, 404: { description: "There is no such run" } },
  });
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/v1/runs/{id}/artifacts/{name}",
    summary: "A file that is kept with a run",
    parameters: [parameter("id"), parameter("name")],
    responses: { 200: { description: "Its bytes", content: bytes }, 404: { description: "There is none" } },
  });
  app.openAPIRegistry.registerPath({
    method: "post",
    path: "/v1/models/{model}/versions",
    summary: "Register an ONNX file made elsewhere as a version, after checks",
    parameters: [parameter("model")],
    request: {
      body: {
        required: true,
        content: {
          "application/onnx": bytes["application/octet-stream"],
          ...bytes,
          "application/json": { schema: importRequestSchema.omit({ model: true }) },
          "multipart/form-data": { schema: FORM },
        },
      },
    },
    responses: {
      201: {
        description: "Registered",
        content: { "application/json": { schema: importVersion.spec.reply } },
      },
      400: { description: "No ONNX file, or the request is wrong" },
      413: { description: "Too large" },
      422: { description: "A file that can't be served, with every reason" },
    },
  });
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/v1/models/{model}/versions/{version}/card.html",
    summary: "The model card of a version as a page, with its curves",
    parameters: [parameter("model"), parameter("version")],
    responses: {
      200: { description: "The page", content: { "text/html": { schema: { type: "string" } } } },
      404: { description: "There is none" },
    },
  });
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/v1/models/{model}/versions/{version}/model.onnx",
    summary: "The ONNX file of a version",
    parameters: [parameter("model"), parameter("version")],
    responses: { 200: { description: "Its bytes", content: bytes }, 404: { description: "There is none" } },
  });
}
