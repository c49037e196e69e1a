import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { eventually } from "shared/testing/poll.ts";
import { storedPredictions } from "shared/testing/predictions.ts";
import { fragileModelFile } from "../testing/model_file.ts";
import { deploy, MODEL, pointAlias, startServing } from "../testing/serving.ts";

/** Python with tritonclient and kserve; `deno run -A bench/peers/install.ts clients` installs them. */
const PYTHON = Deno.env.get("MICROML_CLIENTS_PYTHON") ??
  `${Deno.env.get("HOME")}/.cache/microml/peers/clients/bin/python`;

async function hasClients(): Promise<boolean> {
  try {
    return (await Deno.stat(PYTHON)).isFile;
  } catch {
    return false;
  }
}

/** JSON and the bytes of tensors behind it, as clients send them. */
function binaryBody(
  header: unknown,
  ...tensors: Uint8Array[]
): { body: Uint8Array<ArrayBuffer>; length: number } {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const body = new Uint8Array(tensors.reduce((sum, { length }) => sum + length, json.length));
  body.set(json);
  let at = json.length;
  for (const tensor of tensors) {
    body.set(tensor, at);
    at += tensor.length;
  }
  return { body, length: json.length };
}

const bytesOf = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

async function infer(url: string, request: unknown, version = "") {
  const response = await fetch(`${url}/v2/models/${MODEL}${version}/infer`, {
    method: "POST",
    body: typeof request === "string" ? request : JSON.stringify(request),
  });
  return { status: response.status, answer: await response.json() };
}

const features = (more: Record<string, unknown> = {}) => ({
  name: "features",
  datatype: "FP32",
  shape: [2, 2],
  data: [1, 2, 3, 4],
  ...more,
});

Deno.test("infer() answers JSON tensors, flat and nested, of the graph's input or of single features", async () => {
  await using service = await startServing({ weights: [1, 10] });
  const single = (name: string, data: unknown[]) => ({ name, datatype: "INT64", shape: [2, 1], data });
  for (
    const inputs of [
      [features()],
      [features({ data: [[1, 2], [3, 4]] })],
      [features({ datatype: "FP64" })],
      [single("orders.spend", [2, 4]), single("orders.count", [[1], [3]])],
    ]
  ) {
    const { status, answer } = await infer(service.url, { id: "17", inputs });
    assertEquals([status, answer.error], [200, undefined]);
    assertEquals([answer.model_name, answer.model_version, answer.id, answer.parameters.arm], [
      MODEL,
      "1",
      "17",
      "champion",
    ]);
    const [value, ids] = answer.outputs;
    assertEquals(value, { name: "value", datatype: "FP32", shape: [2], data: [21, 43] });
    assertEquals([ids.name, ids.datatype, ids.data.length], ["prediction_id", "BYTES", 2]);
  }
});

Deno.test("infer() reads and writes tensors as bytes behind the JSON, and logs what it answered", async () => {
  await using service = await startServing({ weights: [1, 10] });
  const { data: _, ...head } = features();
  const { body, length } = binaryBody({
    inputs: [{ ...head, parameters: { binary_data_size: 16 } }],
    parameters: { binary_data_output: true },
  }, bytesOf(1, 2, 3, 4));
  const response = await fetch(`${service.url}/v2/models/${MODEL}/versions/1/infer`, {
    method: "POST",
    body,
    headers: { "Inference-Header-Content-Length": String(length) },
  });
  assertEquals(response.headers.get("content-type"), "application/octet-stream");
  const bytes = new Uint8Array(await response.arrayBuffer());
  const size = Number(response.headers.get("Inference-Header-Content-Length"));
  const { outputs } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, size)));
  assertEquals(outputs[0], {
    name: "value",
    datatype: "FP32",
    shape: [2],
    parameters: { binary_data_size: 8 },
  });
  assertEquals([...new Float32Array(bytes.slice(size, size + 8).buffer)], [21, 43]);
  // Each text has its length before it: four bytes and the 36 of an id.
  const id = new TextDecoder().decode(bytes.subarray(size + 8 + 4, size + 8 + 40));
  await eventually(async () => {
    const records = await storedPredictions(service.bus);
    assertEquals(records.map(({ data }) => data.output), [21, 43]);
    assertEquals(records[0]!.id, id);
  });
});

Deno.test("infer() lists what is wrong with its path, in the protocol's own form of an error", async () => {
  await using service = await startServing();
  const reasonsOf = async (request: unknown) => {
    const { status, answer } = await infer(service.url, request);
    assertEquals([status, typeof answer.error], [400, "string"]);
    return answer.reasons.map(({ path }: { path: string }) => path);
  };
  assertEquals(await reasonsOf({ inputs: [features({ data: [1, 2, 3] })] }), ["/inputs/0/data"]);
  assertEquals(await reasonsOf({ inputs: [features({ datatype: "COMPLEX" })] }), ["/inputs/0/datatype"]);
  const other = features({ name: "constructor" });
  assertEquals(await reasonsOf({ inputs: [other] }), ["/inputs/0/name", "/inputs", "/inputs"]);
  assertEquals(await reasonsOf({ inputs: [features({ shape: [4, 1] })] }), ["/inputs/0/shape"]);
  assertEquals(await reasonsOf({ inputs: [features({ data: [1, 2, 3, 1e39] })] }), ["/inputs/0/data/3"]);
  assertEquals(await reasonsOf({ inputs: [features({ data: [[1, 2], [3, 1e39]] })] }), [
    "/inputs/0/data/1/1",
  ]);
  for (const ragged of [[[1, 2, 3], [4]], [[1, 2], 3]]) {
    const [path] = await reasonsOf({ inputs: [features({ data: ragged })] });
    assertEquals(path, ragged[1] === 3 ? "/inputs/0/data/1" : "/inputs/0/data/0");
  }
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  const nested = JSON.stringify({ inputs: [features({ data: [[1, 2], ["deep", 4]] })] });
  assertEquals(await reasonsOf(nested.replace('"deep"', deep)), ["/inputs/0/data/1/0"]);
  const flags = { name: "orders.spend", datatype: "BOOL", shape: [2], data: [true, "false"] };
  const counts = { name: "orders.count", datatype: "FP32", shape: [2], data: [1, 1e39] };
  assertEquals(await reasonsOf({ inputs: [flags, counts] }), ["/inputs/1/data/1", "/inputs/0/data/1"]);
  assertEquals(await reasonsOf({ inputs: [flags] }), ["/inputs"]);
  assertEquals(await reasonsOf({ inputs: [features(), features()] }), ["/inputs/1/name"]);
  const { data: _, ...head } = features();
  const sized = (size: unknown, more = {}) => ({
    inputs: [{ ...head, parameters: { binary_data_size: size }, ...more }],
  });
  assertEquals(await reasonsOf(sized(16)), ["/inputs/0/data"]);
  assertEquals(await reasonsOf(sized(16, { data: [1, 2, 3, 4] })), ["/inputs/0/data"]);
  for (const size of [-16, 1.5, "16"]) {
    assertEquals(await reasonsOf(sized(size)), ["/inputs/0/parameters/binary_data_size"]);
  }
  const parameters = { priority: "high", timeout: -1, key: "", binary_data_output: 1 };
  assertEquals(
    await reasonsOf({ inputs: [features()], parameters }),
    Object.keys(parameters).map((name) => `/parameters/${name}`),
  );
  const outputs = [{ name: "value", parameters: { classification: 2, shared_memory_region: "a" } }];
  assertEquals(await reasonsOf({ inputs: [features()], outputs }), [
    "/outputs/0/parameters/classification",
    "/outputs/0/parameters/shared_memory_region",
  ]);
  assertEquals((await infer(service.url, { inputs: [features()] }, "/versions/2")).status, 404);
  const nothing = await fetch(`${service.url}/v2/models/${MODEL}/infer`, { method: "POST", body: "[" });
  assertEquals(nothing.status, 400);
  await nothing.body?.cancel();
});

Deno.test("infer() refuses outputs that the model does not have before it predicts", async () => {
  await using service = await startServing();
  const { status, answer } = await infer(service.url, {
    inputs: [features()],
    outputs: [{ name: "value" }, { name: "odds" }],
  });
  assertEquals([status, answer.reasons], [400, [{
    path: "/outputs/1/name",
    message: 'is "odds", and the model has value and prediction_id',
  }]]);
  await eventually(async () => {
    const records = await storedPredictions(service.bus);
    assertEquals(records.map(({ data }) => data.outcome), ["error", "error"]);
  });
});

/** Bytes as clients compress them. */
const packed = (body: BodyInit, format: CompressionFormat) =>
  new Response(new Response(body).body!.pipeThrough(new CompressionStream(format))).bytes();

Deno.test("infer() unpacks gzip and deflate within the limit of bodies, and names what it does not take", async () => {
  await using service = await startServing({ weights: [1, 10] });
  const send = async (body: BodyInit, encoding: string) => {
    const response = await fetch(`${service.url}/v2/models/${MODEL}/infer`, {
      method: "POST",
      headers: { "content-encoding": encoding },
      body,
    });
    return { status: response.status, answer: await response.json() };
  };
  const question = JSON.stringify({ inputs: [features()] });
  for (const encoding of ["gzip", "deflate"] as const) {
    const { status, answer } = await send(await packed(question, encoding), encoding);
    assertEquals([status, answer.outputs[0].data], [200, [21, 43]]);
  }
  const bomb = await packed(new Uint8Array(50_000_000), "gzip");
  assertEquals((await send(bomb, "gzip")).status, 413);
  assertEquals((await send(question, "gzip")).status, 400);
  assertEquals((await send((await packed(question, "gzip")).subarray(0, -9), "gzip")).status, 400);
  const unknown = await send(question, "br");
  assertEquals(unknown.status, 415);
  assertStringIncludes(unknown.answer.error, "gzip or deflate");
});

Deno.test("infer() reads 16-bit floats, of either kind", async () => {
  await using service = await startServing({ weights: [1, 10] });
  const values = [1, 2, -3.5, 0.25];
  const brain = new Uint16Array(
    values.map((value) => new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16),
  );
  for (const [datatype, tensor] of [["FP16", new Float16Array(values)], ["BF16", brain]] as const) {
    const bytes = new Uint8Array(tensor.buffer as ArrayBuffer);
    const { body, length } = binaryBody(
      {
        inputs: [{
          name: "features",
          datatype,
          shape: [2, 2],
          parameters: { binary_data_size: bytes.length },
        }],
      },
      bytes,
    );
    const response = await fetch(`${service.url}/v2/models/${MODEL}/infer`, {
      method: "POST",
      headers: { "inference-header-content-length": String(length) },
      body,
    });
    assertEquals((await response.json()).outputs[0].data, [21, -1]);
  }
});

Deno.test("infer() of a version is answered by that version or not at all, and a shadow's answers nobody", async () => {
  await using service = await startServing({ weights: [1, 10] });
  await pointAlias(service.bus, "challenger", 2, fragileModelFile(100));
  await deploy(service, {
    arms: {
      control: { alias: "champion", weight: 0.5 },
      canary: { alias: "challenger", weight: 0.5, breaker: { minCalls: 3, errorRate: 0.5, pause: "PT60S" } },
    },
  });
  const ask = async (version: number, count: number) => {
    const { status, answer } = await infer(
      service.url,
      { inputs: [features({ shape: [1, 2], data: [count, 0] })] },
      `/versions/${version}`,
    );
    return [status, answer.model_version];
  };
  await eventually(async () => assertEquals(await ask(2, 3), [200, "2"]));
  assertEquals(await ask(1, 3), [200, "1"]);
  // It fails there, and its breaker opens: the champion does not answer in its place.
  for (let times = 0; times < 2; times++) assertEquals(await ask(2, 1_000), [500, undefined]);
  assertEquals(await ask(2, 3), [503, undefined]);
  const whole = await infer(service.url, { inputs: [features()] });
  assertEquals([whole.status, whole.answer.model_version], [200, "1"]);

  await deploy(service, { shadows: { candidate: { alias: "challenger" } } });
  await eventually(async () => assertEquals(await ask(2, 3), [404, undefined]));
  const ready = await fetch(`${service.url}/v2/models/${MODEL}/versions/2/ready`);
  await ready.body?.cancel();
  assertEquals(ready.status, 404);
});

Deno.test("the protocol tells of health, of models and of their tensors", async () => {
  await using service = await startServing();
  const get = async (path: string, method = "GET") => {
    const response = await fetch(`${service.url}/v2${path}`, { method });
    return { status: response.status, body: await response.json() };
  };
  assertEquals((await get("/health/live")).status, 200);
  assertEquals((await get("/health/ready")).status, 200);
  assertEquals((await get(`/models/${MODEL}/ready`)).status, 200);
  assertEquals((await get(`/models/${MODEL}/versions/2/ready`)).status, 404);
  assertEquals((await get("/models/other")).status, 404);
  assertEquals((await get(`/models/${MODEL}`)).body, {
    name: MODEL,
    versions: ["1"],
    platform: "onnx_onnxruntime-web",
    inputs: [{ name: "features", datatype: "FP32", shape: [-1, 2] }],
    outputs: [
      { name: "value", datatype: "FP32", shape: [-1] },
      { name: "prediction_id", datatype: "BYTES", shape: [-1] },
    ],
  });
  assertEquals((await get("/repository/index", "POST")).body[0].state, "READY");
  const unknown = await get(`/models/${MODEL}/stats`);
  assertEquals([unknown.status, typeof unknown.body.error], [404, "string"]);
  const otherMethod = await get(`/models/${MODEL}/infer`);
  assertEquals([otherMethod.status, typeof otherMethod.body.error], [405, "string"]);
});

Deno.test({
  name: "tritonclient and KServe's client work unchanged (skipped where they are not installed)",
  ignore: !await hasClients(),
  async fn() {
    await using service = await startServing({ weights: [1, 1] });
    const script = new URL("../testing/clients.py", import.meta.url).pathname;
    const seenBy = async (client: string) => {
      const address = new URL(service.url).host;
      const { success, stdout, stderr } = await new Deno.Command(PYTHON, {
        args: [script, address, MODEL, client],
      }).output();
      assert(success, new TextDecoder().decode(stderr));
      return JSON.parse(new TextDecoder().decode(stdout));
    };
    const triton = await seenBy("triton");
    assertEquals(
      [triton.live, triton.ready, triton.model_ready, triton.version_ready, triton.other_ready],
      [true, true, true, true, false],
    );
    const { error, ...answers } = triton.answers;
    for (const answer of Object.values(answers)) assertEquals(answer, [3, 7, 11]);
    assert(error.includes("[404]"), error);
    const kserve = await seenBy("kserve");
    assertEquals(kserve, {
      live: true,
      ready: true,
      model_ready: true,
      answers: { binary: [3, 7], json: [3, 7] },
    });
  },
});
