/**
 * The Open Inference Protocol, version 2, over HTTP: what clients of KServe and Triton speak.
 * https://github.com/kserve/open-inference-protocol, and Triton's binary tensor data and model repository extensions.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { MODEL_TENSORS, type Signature } from "shared/contracts/signature.ts";
import { AppError, invalid, notFound } from "shared/errors.ts";
import { type Problem, PROBLEM_TYPE } from "shared/http/problem.ts";
import { callContext, unpacked } from "shared/http/request.ts";
import type { Logger } from "shared/log.ts";
import { shapeOf } from "shared/onnx/model_batch.ts";
import { VERSION } from "shared/version.ts";
import type { LiveModels } from "../live_models.ts";
import { type InferRequest, JSON_LENGTH, readInferRequest } from "../open_inference/infer_request.ts";
import { outputsOf, toInferBody } from "../open_inference/infer_response.ts";
import type { Predict } from "../predict.ts";
import type { Routers } from "../routing/routers.ts";
import type { ServedVersion } from "../runtime/admission.ts";
import { describeOpenInference } from "./describe_open_inference.ts";

export interface OpenInferenceDeps {
  models: LiveModels;
  routers: Pick<Routers, "of">;
  predict: Predict;
  log: Logger;
}

export function addOpenInferenceRoutes(
  app: OpenAPIHono,
  { models, routers, predict, log }: OpenInferenceDeps,
): void {
  describeOpenInference(app);

  /** The protocol has an error body of its own. */
  const answering = (answer: (c: Context) => Response | Promise<Response>) => async (c: Context) => {
    try {
      return await answer(c);
    } catch (error) {
      const known = error instanceof AppError
        ? error
        : new AppError("internal", "Cannot answer the request: an internal error occurred");
      if (known.status >= 500) log.error({ err: error }, known.message);
      const retryAfter = known.retryAfter === undefined
        ? {}
        : { "retry-after": String(Math.max(1, Math.ceil(known.retryAfter))) };
      const reasons = known.reasons.length === 0 ? {} : { reasons: known.reasons };
      return c.json({ error: known.message, ...reasons }, known.status as 400, retryAfter);
    }
  };

  // Clients of the protocol read the error of whatever fails: also where there is no such route, or not by this method.
  app.use("/v2/*", async (c, next) => {
    await next();
    if (c.res.headers.get("content-type") !== PROBLEM_TYPE) return;
    const { detail }: Problem = await c.res.json();
    c.res = c.json({ error: detail }, c.res.status as 404);
  });

  app.get(
    "/v2",
    (c) =>
      c.json({ name: "microml", version: VERSION, extensions: ["binary_tensor_data", "model_repository"] }),
  );
  app.get("/v2/health/live", (c) => c.json({ live: true }));
  app.get(
    "/v2/health/ready",
    answering((c) => {
      models.checkReady();
      return c.json({ ready: true });
    }),
  );
  app.post("/v2/repository/index", (c) =>
    c.json(
      models.list().map(({ model, version, state, error }) => ({
        name: model,
        version: version === null ? "" : String(version),
        state: version === null ? "UNAVAILABLE" : "READY",
        reason: error ?? (version === null ? state : ""),
      })),
    ));

  for (const path of ["/v2/models/:model", "/v2/models/:model/versions/:version"]) {
    app.get(
      path,
      answering((c) => {
        const versions = servedVersions(c);
        return c.json(metadataOf(versions));
      }),
    );
    app.get(
      `${path}/ready`,
      answering((c) => {
        servedVersions(c);
        return c.json({ name: c.req.param("model"), ready: true });
      }),
    );
    app.post(`${path}/infer`, answering(infer));
  }

  function servedVersions(c: Context): [ServedVersion, ...ServedVersion[]] {
    const model = c.req.param("model")!;
    const version = versionOf(c);
    // What is in memory for shadows answers nobody.
    const ofArms = new Set(routers.of(model)?.arms.map(({ alias }) => models.versionOf(model, alias)));
    const [first, ...others] = models.versions(model).filter(({ entry }) =>
      ofArms.has(entry.version) && (version === undefined || entry.version === version)
    );
    if (first === undefined) {
      throw notFound(
        `Cannot find the model "${model}"${
          version === undefined ? "" : ` version ${version}`
        }: it is not served`,
      );
    }
    return [first, ...others];
  }

  async function infer(c: Context): Promise<Response> {
    const context = callContext(c.req.raw.headers);
    const model = c.req.param("model")!;
    const request = await read(c, model).catch((error) => {
      predict.refused(model, error, context);
      throw error;
    });
    const prediction = await predict(request.call, context);
    const { json, binary } = toInferBody(prediction, request);
    if (binary.length === 0) return c.json(json);
    const header = new TextEncoder().encode(JSON.stringify(json));
    return new Response(joined([header, ...binary]), {
      headers: { "content-type": "application/octet-stream", [JSON_LENGTH]: String(header.length) },
    });
  }
}

async function read(c: Context, model: string): Promise<InferRequest> {
  const version = versionOf(c);
  const length = c.req.raw.headers.get(JSON_LENGTH);
  return readInferRequest(new Uint8Array(await unpacked(c).arrayBuffer()), {
    model,
    ...(version === undefined ? {} : { version }),
    headerLength: length === null ? undefined : Number(length),
  });
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function versionOf(c: Context): number | undefined {
  const version = c.req.param("version");
  if (version === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(version)) {
    throw invalid(`Cannot find the version "${version}": it must be a whole number from 1`);
  }
  return Number(version);
}

function metadataOf(versions: readonly [ServedVersion, ...ServedVersion[]]) {
  const [{ entry, signature, model }] = versions;
  return {
    name: entry.model,
    versions: [...new Set(versions.map(({ entry }) => String(entry.version)))],
    platform: `onnx_${model.runtime}`,
    inputs: inputsOf(signature),
    outputs: outputsOf(signature),
  };
}

function inputsOf(signature: Signature) {
  const { numbers, categories } = shapeOf(signature);
  return [
    { name: MODEL_TENSORS.numbers, datatype: "FP32", shape: [-1, numbers] },
    { name: MODEL_TENSORS.categories, datatype: "BYTES", shape: [-1, categories] },
  ].filter(({ shape }) => shape[1] !== 0);
}
