import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  createRun,
  getCard,
  getRun,
  getVersion,
  importVersion,
  listVersions,
  logRun,
} from "shared/contracts/model_training.ts";
import type { ReplyOf } from "shared/contracts/endpoint.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { AppError } from "shared/errors.ts";
import type { Node, Tensor } from "shared/onnx/model_proto.ts";
import { encodeModel } from "shared/onnx/writer.ts";
import type { TestService } from "shared/testing/service.ts";
import { compare, model, promote, startStand, train } from "./testing/stand.ts";
import { linearClassifier } from "./testing/trainer.ts";

const signature: Signature = {
  task: "binary",
  entity: "customer",
  featureService: { name: "reorder_features", version: 7 },
  inputs: ["orders.recency", "orders.spend", "orders.noise"].map((name) => ({
    name,
    type: "number",
    nulls: "as_trained",
  })),
  output: "probability",
  classes: ["0", "1"],
};

const post = (service: TestService, body: BodyInit, headers: Record<string, string> = {}, name = model) =>
  fetch(`${service.url}/v1/models/${name}/versions`, { method: "POST", body, headers });

/** Sends a file with the other fields as a form does. */
function send(service: TestService, file: Uint8Array, request: unknown, name = model): Promise<Response> {
  const form = new FormData();
  form.append("file", new File([file as Uint8Array<ArrayBuffer>], "model.onnx"));
  form.append("request", JSON.stringify(request));
  return post(service, form, {}, name);
}

Deno.test("model-training imports a file made elsewhere, judges it, and serves it like its own", async () => {
  await using stand = await startStand();
  const { service } = stand;
  const own = await train(service);
  await promote(service, own);
  const { versions: [trained] } = await service.call(listVersions, { model });

  const response = await send(service, linearClassifier([1.5, 0.4, 0]), {
    signature,
    trainingSet: trained!.trainingSet,
    trainUntil: trained!.evaluation!.trainUntil,
    algorithm: "sklearn LogisticRegression",
    tags: { team: "growth" },
    notes: "from a notebook",
  });
  const imported = await response.json() as ReplyOf<typeof importVersion>;
  assertEquals(response.status, 201);
  assertEquals(imported.version, 2);
  const version = await service.call(getVersion, { model, version: 2 });
  assertEquals([version.origin, version.algorithm, version.tags, version.notes], [
    "imported",
    "sklearn LogisticRegression",
    { team: "growth" },
    "from a notebook",
  ]);
  assertEquals(version.evaluation!.trainUntil, trained!.evaluation!.trainUntil);
  assert(version.evaluation!.model["auc"]! > 0.7);
  assertEquals(version.referenceBins.map(({ name }) => name), [
    ...signature.inputs.map(({ name }) => name),
    "output",
  ]);

  const { curves, run } = await service.call(getCard, { model, version: 2 });
  assertEquals(curves!.permutation[0]!.feature, "orders.recency");
  assertEquals([Object.keys(curves!.baselines), curves!.confusion.length], [["prior", "last_value"], 2]);
  const { threshold, chosenOn } = curves!.decision!;
  assertEquals([threshold, chosenOn], [0.5, "costs"]);
  assert(curves!.slices.length > 5);
  assertEquals([run.environment, run.testLook!.rows, run.testLook!.before], [
    { producer: "a trainer of the tests", onnx: "IR 8, ai.onnx 17, ai.onnx.ml 3" },
    // All that is later than what it has learnt from; among them the rows of the version before.
    240,
    1,
  ]);

  const { rows, champion } = await compare(service, 2);
  assertEquals([rows, champion], [180, own]);
  assertEquals((await promote(service, 2)).changed, true);

  // Its own file carries the signature: it needs no other word.
  const again = await service.bus.files.get(imported.sha256);
  const copy = await post(service, again as Uint8Array<ArrayBuffer>, { "content-type": "application/onnx" });
  assertEquals(copy.status, 201);
  assertEquals((await copy.json()).signature, JSON.parse(JSON.stringify(signature)));
  const card = await service.call(getCard, { model, version: 3 });
  assertEquals([card.version.evaluation, card.curves, card.run.kind], [null, null, "imported"]);
  const page = await fetch(`${service.url}/v1/models/${model}/versions/3/card.html`);
  assertStringIncludes(await page.text(), "It was not judged");
});

Deno.test("importVersion() takes bins, an example and hints from a training set that it is not judged by", async () => {
  await using stand = await startStand();
  const { service, features } = stand;
  features.table = {
    ...features.table,
    features: features.table.features.map((feature) =>
      feature.name === "orders.noise" ? { ...feature, values: feature.values.map(() => 7) } : feature
    ),
  };
  const { trainingSet } = await service.call(getVersion, { model, version: await train(service) });
  const sha256 = await service.bus.files.put(linearClassifier([1, 1, 1]));
  const { version } = await service.call(importVersion, {
    model,
    sha256,
    signature,
    trainingSet: trainingSet!,
  }, {
    timeoutMs: 30_000,
  });
  const found = await service.call(getVersion, { model, version });
  assertEquals([found.evaluation, found.trainingSet], [null, trainingSet]);
  assertEquals(found.referenceBins.map(({ name, counts }) => [name, counts.length > 1]), [
    ["orders.recency", true],
    ["orders.spend", true],
    ["orders.noise", false],
    ["output", true],
  ]);
  assertEquals(found.inputExample!["orders.noise"], 7);
  assertEquals(found.hints.map(({ kind, feature }) => [kind, feature]), [["constant", "orders.noise"]]);
});

Deno.test("importVersion() links a version to the logged run that its file was trained in", async () => {
  await using stand = await startStand();
  const { service } = stand;
  const file = linearClassifier([1.5, 0.4, 0]);
  const { id } = await service.call(createRun, {
    project: "shop",
    model,
    algorithm: "xgboost",
    gitRevision: "4f2a",
    parameters: { depth: 6 },
    environment: { python: "3.12" },
  });
  await service.call(logRun, { id, results: { auc: 0.875 } });
  const put = await fetch(`${service.url}/v1/runs/${id}/artifacts/model.onnx`, {
    method: "PUT",
    body: file as Uint8Array<ArrayBuffer>,
  });
  const { sha256 } = await put.json();
  const { version, run } = await service.call(importVersion, { model, sha256, signature, loggedRun: id });
  assertEquals((await send(service, file, { signature, loggedRun: id })).status, 201);

  const logged = await service.call(getRun, { id });
  assertEquals(logged.importedAs, [{ model, version }, { model, version: 2 }]);
  const card = await service.call(getCard, { model, version });
  assertEquals([card.run.id, card.run.loggedRun, card.run.gitRevision, card.version.algorithm], [
    run,
    id,
    "4f2a",
    "xgboost",
  ]);
  assertEquals(card.loggedRun, logged);
  const page = await (await fetch(`${service.url}/v1/models/${model}/versions/1/card.html`)).text();
  for (const text of ["Trained elsewhere", id, "parameter depth", "0.875"]) assertStringIncludes(page, text);

  const refused: [Record<string, unknown>, string, string?][] = [
    [{ loggedRun: run }, `the run ${run} was imported, not begun by create-run`],
    [{ loggedRun: crypto.randomUUID() }, "there is no run"],
    [{ loggedRun: id, project: "lab" }, 'the project "shop"\'s, not "lab"\'s'],
    [{ loggedRun: id, project: "lab" }, `the run ${id} is of the model "reorder"`, "churn"],
    [
      { loggedRun: (await service.call(createRun, { project: "lab" })).id },
      'the logged run is of the project "lab"',
    ],
  ];
  for (const [request, expected, name] of refused) {
    const error = await assertRejects(
      () => service.call(importVersion, { model: name ?? model, sha256, signature, ...request }),
      AppError,
    );
    assertStringIncludes(error.message, expected);
  }
});

Deno.test("the card of an imported version tells what its file holds", async () => {
  await using stand = await startStand();
  const { service } = stand;
  const file = linearClassifier([1.5, 0.4, 0]);
  assertEquals((await send(service, file, { signature })).status, 201);
  const { graph } = await service.call(getVersion, { model, version: 1 });
  assertEquals(graph, {
    producer: "a trainer of the tests",
    bytes: file.length,
    irVersion: 8,
    opsets: { "ai.onnx": 17, "ai.onnx.ml": 3 },
    operators: ["Imputer", "LinearClassifier"].map((op) => ({ domain: "ai.onnx.ml", op, count: 1 })),
    inputs: [{ name: "float_input", type: "float", dims: ["rows", 3] }],
    outputs: [
      { name: "label", type: "int64", dims: ["rows"] },
      { name: "probabilities", type: "float", dims: ["rows", 2] },
    ],
  });
  const page = await (await fetch(`${service.url}/v1/models/${model}/versions/1/card.html`)).text();
  for (const text of ["Model file", "ai.onnx.ml/LinearClassifier x 1", "a trainer of the tests"]) {
    assertStringIncludes(page, text);
  }
});

Deno.test("importVersion() answers the same to the same key, and registers once", async () => {
  await using stand = await startStand();
  const { service } = stand;
  const sha256 = await service.bus.files.put(linearClassifier([1, 1, 1]));
  const request = { model, sha256, signature };
  const key = { idempotencyKey: "once", timeoutMs: 30_000 };
  const [one, other] = await Promise.all([1, 2].map(() => service.call(importVersion, request, key)));
  assertEquals(one, other);
  assertEquals((await service.call(listVersions, { model })).versions.length, 1);
  await assertRejects(
    () => service.call(importVersion, { ...request, model: "unknown" }, { timeoutMs: 30_000 }),
    AppError,
    "no project declares the model",
  );
  await assertRejects(
    () => service.call(importVersion, { ...request, project: "other" }, { timeoutMs: 30_000 }),
    AppError,
    `the model is the project "shop"'s`,
  );
});

Deno.test("importVersion() refuses what does not fit its signature, and says what would", async () => {
  await using stand = await startStand({ env: { FILE_LIMIT_MIB: "1" } });
  const { service } = stand;
  const refusal = async (file: Uint8Array, request: unknown, status = 422) => {
    const response = await send(service, file, request);
    const { detail } = await response.json();
    assertEquals(response.status, status, detail);
    return detail as string;
  };
  const good = linearClassifier([1, 1, 1]);
  assertStringIncludes(await refusal(good, {}, 400), "the request must hold one");
  assertStringIncludes(await refusal(linearClassifier([1, 1]), { signature }), "[rows, 3]");
  const value = { ...signature, task: "regression", output: "value", classes: null };
  assertStringIncludes(await refusal(good, { signature: value }), "its outputs are");
  const percent = encodeModel({
    irVersion: 8,
    producerName: "test",
    opsets: { "ai.onnx": 17 },
    metadata: {},
    graph: {
      name: "percent",
      nodes: [{
        op: "ReduceMean",
        inputs: ["in"],
        outputs: ["mean"],
        attributes: { axes: { ints: [1] }, keepdims: { int: 0 } },
      }],
      initializers: [],
      inputs: [{ name: "in", type: "float", dims: ["rows", 3] }],
      outputs: [{ name: "mean", type: "float", dims: ["rows"] }],
    },
  });
  const example = { "orders.recency": 40, "orders.spend": 30, "orders.noise": 20 };
  assertStringIncludes(await refusal(percent, { signature, inputExample: example }), "answers 30 where");
  assertStringIncludes(
    await refusal(new Uint8Array(2 * 1024 * 1024), { signature }, 413),
    "larger than 1048576",
  );
  assertEquals((await service.call(listVersions, { model })).versions, []);
});

/** A file whose answer is the mean of its row, and of what the nodes make of the constants. */
function hostile(
  nodes: readonly Node[],
  constants: Readonly<Record<string, [rows: number, columns: number]>>,
): Uint8Array {
  return encodeModel({
    irVersion: 8,
    producerName: "test",
    opsets: { "ai.onnx": 17 },
    metadata: {},
    graph: {
      name: "hostile",
      nodes: [
        ...nodes,
        { op: "ReduceMean", inputs: [nodes.at(-1)!.outputs[0]!], outputs: ["mean"] },
        { op: "ReduceMean", inputs: ["in"], outputs: ["row"], attributes: { axes: { ints: [1] } } },
        { op: "Add", inputs: ["row", "mean"], outputs: ["out"] },
      ],
      initializers: Object.entries(constants).map(([name, dims]): Tensor => ({
        name,
        dims,
        type: "float",
        data: new Float32Array(dims[0] * dims[1]).fill(1 / Math.max(...dims)),
      })),
      inputs: [{ name: "in", type: "float", dims: ["rows", 3] }],
      outputs: [{ name: "out", type: "float", dims: ["rows", 1] }],
    },
  });
}

/** Its answer takes minutes: products of a matrix with itself. */
const endless = () =>
  hostile(
    Array.from({ length: 20_000 }, (_, n) => ({
      op: "MatMul",
      inputs: [n === 0 ? "matrix" : `product${n - 1}`, "matrix"],
      outputs: [`product${n}`],
    })),
    { matrix: [384, 384] },
  );

/** 240 KB that ask for 3.6 GB: a column times a row. */
const greedy = () =>
  hostile([{ op: "Mul", inputs: ["tall", "wide"], outputs: ["product"] }], {
    tall: [30_000, 1],
    wide: [1, 30_000],
  });

Deno.test("importVersion() gives up a file that takes too long to check, and goes on with the next one", async () => {
  await using stand = await startStand({ env: { IMPORT_LIMIT_SECONDS: "1" } });
  const { service } = stand;
  const [slow, next] = await Promise.all([
    send(service, endless(), { signature }),
    post(service, JSON.stringify({ sha256: "0".repeat(64), signature }), {
      "content-type": "application/json",
    }),
  ]);
  assertEquals([slow.status, next.status], [422, 404]);
  assertEquals(
    (await slow.json()).detail,
    "Cannot import a version of reorder: check the file: it took longer than the 1 s it may take",
  );
  assertStringIncludes((await next.json()).detail, "0".repeat(64));
});

Deno.test("importVersion() refuses a file that fails on a row or asks for gigabytes, and takes the next one", async () => {
  await using stand = await startStand();
  const { service } = stand;
  const refusal = async (file: Uint8Array) => {
    const response = await send(service, file, { signature });
    assertEquals(response.status, 422);
    return (await response.json()).detail;
  };
  const begin = "Cannot import the ONNX file: it does not answer the test row: ";
  assertEquals(
    await refusal(greedy()),
    `${begin}Cannot predict: it takes more memory than the 1024 MiB that a model may take`,
  );
  const unfit = hostile([
    { op: "Shape", inputs: ["in"], outputs: ["shape"] },
    { op: "Gather", inputs: ["matrix", "shape"], outputs: ["missing"] },
  ], { matrix: [2, 2] });
  assertStringIncludes(await refusal(unfit), `${begin}Cannot predict: the ONNX runtime failed`);
  assertEquals((await send(service, linearClassifier([1, 1, 1]), { signature })).status, 201);
});
