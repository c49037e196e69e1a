import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { getVersion, type importVersion, putModel, type RunDetail } from "shared/contracts/model_training.ts";
import type { RequestOf } from "shared/contracts/endpoint.ts";
import { encodeModel } from "shared/onnx/writer.ts";
import { WireWriter } from "shared/onnx/wire.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TrainingSetTable } from "shared/training_set_table.ts";
import { observe } from "./testing/observations.ts";
import { model, put, reorder, startStand, WEEKS } from "./testing/stand.ts";
import { linearClassifier } from "./testing/trainer.ts";

type Signature = NonNullable<RequestOf<typeof importVersion>["signature"]>;

const good = observe({ weeks: WEEKS });
const constantly = (value: number) => new Float64Array(good.labels.length).fill(value);

/** The good history with one feature more, or another. */
function withFeature(feature: TrainingSetTable["features"][number]): TrainingSetTable {
  return { ...good, features: [...good.features.filter(({ name }) => name !== feature.name), feature] };
}

const signature: Signature = {
  task: "binary",
  entity: "customer",
  featureService: { name: "reorder_features", version: 7 },
  inputs: ["orders.recency", "orders.spend"].map((name) => ({ name, type: "number", nulls: "as_trained" })),
  output: "probability",
  classes: ["0", "1"],
};

/** A file that is parsed without a fault and asks for a graph of these nodes. */
const fileOf = (nodes: Parameters<typeof encodeModel>[0]["graph"]["nodes"]) =>
  encodeModel({
    irVersion: 8,
    producerName: "test",
    opsets: { "ai.onnx": 17 },
    metadata: {},
    graph: {
      name: "bad",
      nodes,
      initializers: [],
      inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
      outputs: [{ name: "probability", type: "float", dims: ["rows"] }],
    },
  });

/** A graph that says it has two gigabytes, and has none. */
function twoGigabytes(): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter();
  writer.int(1, 8);
  const header = writer.finish();
  // Field 7, length-delimited, of 2^31 - 1 bytes.
  return Uint8Array.of(...header, 7 * 8 + 2, 0xff, 0xff, 0xff, 0xff, 0x07);
}

Deno.test("model-training answers each bad input with what is wrong, and goes on", async () => {
  await using stand = await startStand();
  const { service, features } = stand;
  const json = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${service.url}${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };
  const run = async (table: TrainingSetTable, request: Record<string, unknown> = {}): Promise<RunDetail> => {
    features.table = table;
    const { body: { id } } = await json("POST", "/v1/runs", { model, ...request });
    return await eventually(async () => {
      const { body } = await json("GET", `/v1/runs/${id}`);
      assert(body.finishedAt !== null, `the run is at ${body.stage}`);
      return body;
    }, { timeoutMs: 60_000 });
  };
  const fails = async (table: TrainingSetTable, reason: string, request = {}) => {
    const { status, error } = await run(table, request);
    assertEquals(status, "failed");
    assertStringIncludes(error!, reason);
  };
  /** What can be learnt from all the same is told as a hint of the version. */
  const hints = async (table: TrainingSetTable) => {
    const { version, error } = await run(table, { algorithm: "logistic", parameters: {} });
    assertEquals(error, null);
    const { hints } = await service.call(getVersion, { model, version: version! });
    return hints.map(({ kind, feature }) => `${feature} ${kind}`);
  };

  await fails(observe({ weeks: 0 }), "it is empty");
  await fails(observe({ weeks: WEEKS, label: 0 }), "both must occur");
  await fails(
    withFeature({ name: "orders.spend", values: constantly(Infinity) }),
    "orders.spend is Infinity in row 0: a feature must be a finite float32 or missing",
  );
  const many = observe({ weeks: WEEKS, customers: 750 });
  const categories = many.entities.map((_, row) => `order ${row}`).toSorted();
  const ids = {
    name: "orders.id",
    values: many.labels.map((_, row) => row),
    type: "text" as const,
    categories,
  };
  await fails({ ...many, features: [ids] }, "it has 10500 different texts, at most 1000 are accepted");
  assertEquals(await hints(withFeature({ name: "orders.same", values: constantly(3) })), [
    "orders.same constant",
  ]);
  assertEquals(await hints(withFeature({ name: "orders.gone", values: constantly(NaN) })), [
    "orders.gone missing",
  ]);
  const leak = good.labels.map((label) => Number.isNaN(label) ? 0 : 2 * label - 1);
  assertEquals(await hints(withFeature({ name: "orders.next", values: leak })), [
    "orders.next explains_label",
  ]);
  features.leads = { "orders.recency": 60_000, "orders.spend": 0, "orders.noise": null };
  assertEquals(await hints(good), ["orders.recency younger_than_t"]);
  features.leads = {};

  const imported = async (file: Uint8Array<ArrayBuffer>, status: number, reason: string) => {
    const form = new FormData();
    form.append("file", new File([file], "model.onnx"));
    form.append("request", JSON.stringify({ signature }));
    const response = await fetch(`${service.url}/v1/models/${model}/versions`, {
      method: "POST",
      body: form,
    });
    const { detail } = await response.json();
    assertEquals(response.status, status, detail);
    assertStringIncludes(detail, reason);
  };
  const file = new Uint8Array(linearClassifier([1, 1]));
  await imported(file.slice(0, file.length - 20), 400, "Cannot read the ONNX file");
  await imported(new TextEncoder().encode("no model"), 400, "Cannot read the ONNX file");
  await imported(twoGigabytes(), 400, "a field says it has 2147483647 bytes, but 0 are left");
  await imported(
    fileOf([{ op: "Resize", inputs: ["features"], outputs: ["probability"] }]),
    422,
    "/ai.onnx/Resize",
  );
  const body = { name: "body", nodes: [], initializers: [], inputs: [], outputs: [] };
  const loop = {
    op: "Loop",
    inputs: ["", ""],
    outputs: ["probability"],
    attributes: { body: { graph: body } },
  };
  await imported(fileOf([loop]), 422, "/ai.onnx/Loop is not one of the operators");

  const wrong = await json("PUT", `/v1/models/${model}`, {
    ...put(),
    body: { ...reorder(), parameters: { trees: 3 } },
  });
  assertEquals(wrong.status, 400);
  assertEquals((await json("GET", "/healthz")).body.status, "alive");
  assertEquals((await run(good)).status, "done");
  await service.call(putModel, put());
});
