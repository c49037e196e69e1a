/** A service that serves a small model, as its tests need it. @module */
import { assertEquals } from "@std/assert";
import { bucketPut } from "shared/bus/bucket.ts";
import type { Bus } from "shared/bus/connection.ts";
import { serveEndpoints } from "shared/bus/endpoints.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { bind, type ReplyOf, type RequestOf } from "shared/contracts/endpoint.ts";
import { online } from "shared/contracts/feature_store.ts";
import { putDeployment, type servedModels } from "shared/contracts/model_serving.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import { silentLogger } from "shared/log.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService, type TestService, type TestServiceOptions } from "shared/testing/service.ts";
import { createApp } from "../app.ts";
import { configSchema } from "../config.ts";
import { signature, sumModelFile } from "./model_file.ts";

export const MODEL = "reorder";

export const row = (count: number, spend: number) => ({ "orders.count": count, "orders.spend": spend });

/** Points an alias of the model to a version, as model-training does. */
export async function pointAlias(
  bus: Bus,
  alias: string,
  version: number,
  file: Uint8Array,
  { model = MODEL, revision = version, signature: its = signature }: {
    model?: string;
    revision?: number;
    signature?: Signature;
  } = {},
): Promise<void> {
  const sha256 = await bus.files.put(file);
  const entry = { model, alias, version, sha256, signature: its, revision, project: "shop" };
  const put = bucketPut(BUCKET.aliases, `${model}.${alias}`, entry, `alias/${model}/${alias}/${revision}`);
  await publishAll(bus, [put]);
}

export async function deploy(service: TestService, body: Record<string, unknown> = {}): Promise<void> {
  await service.call(putDeployment, { project: "shop", name: MODEL, body }, { timeoutMs: 20_000 });
}

export interface ServingOptions extends TestServiceOptions {
  /** What the champion makes of a row. */
  weights?: [number, number];
  /** The deployment. */
  body?: Record<string, unknown>;
  /** A feature store that gives every entity these features. */
  features?: number[];
  /** The model is deployed already, by another copy. */
  again?: boolean;
}

/** Serves version 1 as champion. */
export async function startServing(options: ServingOptions = {}): Promise<TestService> {
  const { weights = [1, 0], body = {}, features, again = false, ...service } = options;
  await using started = new AsyncDisposableStack();
  const serving = started.use(await startTestService("model-serving", configSchema, createApp, service));
  if (features !== undefined) started.use(await startFeatureStore(serving.bus, () => features));
  if (!again) {
    await deploy(serving, body);
    await pointAlias(serving.bus, "champion", 1, sumModelFile(weights));
  }
  await eventually(async () => {
    // Over HTTP: over NATS another copy may answer.
    const { models }: ReplyOf<typeof servedModels> = await (await fetch(`${serving.url}/v1/models`)).json();
    const champion = models.find(({ model, alias }) => model === MODEL && alias === "champion");
    assertEquals([champion?.state, champion?.error], ["ready", null]);
    assertEquals([champion?.state, champion?.error], ["ready", null]);
  });
  const all = started.move();
  return {
    ...serving,
    get db() {
      return serving.db;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

type OnlineRequest = RequestOf<typeof online>;

/** A stand-in feature store; `answer` gives the values of an entity. */
export function startFeatureStore(
  bus: Bus,
  answer: (entity: OnlineRequest["entities"][number], request: OnlineRequest) => number[],
  on: (request: OnlineRequest) => void | Promise<void> = () => {},
): Promise<AsyncDisposable> {
  return serveEndpoints(bus, {
    service: "feature-store",
    version: "0.0.0",
    log: silentLogger,
    endpoints: [bind(online, async (request): Promise<ReplyOf<typeof online>> => {
      await on(request);
      return {
        features: ["orders.count", "orders.spend"],
        version: 3,
        at: request.asOf ?? "2011-05-02T00:00:00.000Z",
        position: 42,
        snapshot: "7:7:",
        rows: request.entities.map((entity) => ({
          entity,
          values: answer(entity, request),
          statuses: ["PRESENT", "PRESENT"],
          eventTimes: ["2011-05-01T00:00:00.000Z", null],
        })),
      };
    })],
  });
}
