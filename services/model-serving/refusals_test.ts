/** Every outcome: what is refused before it became a call is logged where it names a model, and counted where not. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { storableText } from "shared/storable_text.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedPredictions } from "shared/testing/predictions.ts";
import type { TestService } from "shared/testing/service.ts";
import { fileOf, signature } from "./testing/model_file.ts";
import { deploy, MODEL, pointAlias, startServing } from "./testing/serving.ts";

/** The codes of the model's errors in the log. */
const logged = async ({ bus }: TestService) =>
  (await storedPredictions(bus)).map(({ data }) => data.code).toSorted();

const TOO_LARGE = new Uint8Array(8 * 1024 * 1024 + 1);

async function post(service: TestService, path: string, body: BodyInit, headers: HeadersInit = {}) {
  const response = await fetch(`${service.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
  await response.body?.cancel();
  return response.status;
}

Deno.test("calls that are refused unread are logged under the model that they name, whatever the protocol", async () => {
  await using service = await startServing();
  const streamed = () => ReadableStream.from([TOO_LARGE.slice(0, 5_000_000), TOO_LARGE.slice(0, 5_000_000)]);
  assertEquals(await post(service, `/v1/models/${MODEL}/predict`, TOO_LARGE), 413);
  assertEquals(await post(service, `/v1/models/${MODEL}/predict`, streamed()), 413);
  assertEquals(
    await post(service, `/v1/models/${MODEL}/predict`, "{}", { "content-type": "text/plain" }),
    415,
  );
  assertEquals(await post(service, `/v2/models/${MODEL}/infer`, TOO_LARGE), 413);
  assertEquals(await post(service, `/v2/models/${MODEL}/versions/latest/infer`, "{}"), 400);
  assertEquals(await post(service, `/v2/models/${MODEL}/infer`, "{}", { "content-encoding": "br" }), 415);
  const lines = { "content-type": "application/x-ndjson" };
  assertEquals(await post(service, `/v1/models/${MODEL}/predict`, '{"row":\n{"colour": 1}', lines), 200);
  const reply = await service.bus.nc.request(`serving.predict.${MODEL}`, "{", { timeout: 5_000 });
  assertEquals(reply.headers?.get("Nats-Service-Error-Code"), "400");
  await eventually(async () =>
    assertEquals(await logged(service), [
      ...new Array(4).fill("invalid"),
      ...new Array(3).fill("too_large"),
      ...new Array(2).fill("unsupported"),
    ])
  );
});

Deno.test("names that callers make up are logged as text that can be stored, and request values must be such", async () => {
  await using service = await startServing();
  const ask = (body: unknown) => post(service, `/v1/models/${MODEL}/predict`, JSON.stringify(body));
  assertEquals(await ask({ rows: [{ "nul\0": 1, "half\ud800": 1 }] }), 400);
  assertEquals(await ask({ entities: [{ customer_id: "1" }], request: { basket: "nul\0" } }), 400);
  await eventually(async () => {
    const records = await storedPredictions(service.bus);
    assertEquals(records.length, 2);
    for (const { data } of records) assertEquals(storableText(data.error!), data.error);
    assertStringIncludes(records[0]!.data.error!, "/rows/0/half\uFFFD is not a feature");
  });
});

Deno.test("calls that no version took count as the deployed model's own, and others as nobody's", async () => {
  await using service = await startServing();
  await deploy(service, { alias: "elsewhere" });
  assertEquals(await post(service, `/v1/models/${MODEL}/predict`, '{"rows": [{}]}'), 503);
  assertEquals(await post(service, `/v1/models/${MODEL}/predict`, '{"rows": 3}'), 400);
  assertEquals(await post(service, "/v1/models/unknown/predict", '{"rows": [{}]}'), 404);
  const text = await (await fetch(`${service.url}/metrics`)).text();
  const without = `serving_requests_total{model="${MODEL}",version="none"`;
  assertStringIncludes(text, `${without},arm="elsewhere",outcome="unavailable"} 1`);
  assertStringIncludes(text, `${without},arm="none",outcome="invalid"} 1`);
  assertStringIncludes(
    text,
    'serving_requests_total{model="none",version="none",arm="none",outcome="not_found"} 1',
  );
  await eventually(async () => {
    const records = await storedPredictions(service.bus);
    const told = records.map(({ data }) => [data.model, data.project, data.version, data.code]);
    assertEquals(told.toSorted(), [
      [MODEL, "shop", null, "invalid"],
      [MODEL, "shop", null, "unavailable"],
      ["unknown", null, null, "not_found"],
    ]);
  });
});

Deno.test("columns and given features follow the policies of the deployment as rows do", async () => {
  const its = {
    ...signature,
    inputs: signature.inputs.map((input) => ({ ...input, nulls: "as_trained" as const })),
  };
  await using service = await startServing({
    features: [1, 2],
    body: { input: { notFinite: "missing", unknown: "ignore" } },
  });
  // Answers with the count, whatever the spend is.
  const file = fileOf(its, {
    name: "count",
    nodes: [{
      op: "Gather",
      inputs: ["features", "first"],
      outputs: ["value"],
      attributes: { axis: { int: 1 } },
    }],
    initializers: [{ name: "first", type: "int64", dims: [], data: BigInt64Array.of(0n) }],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "float", dims: ["rows"] }],
  });
  await pointAlias(service.bus, "champion", 2, file, { signature: its });
  const ask = async (body: string) => {
    const response = await fetch(`${service.url}/v1/models/${MODEL}/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    return await response.json();
  };
  const marked = { "orders.spend": "NOT_FINITE" };
  await eventually(async () => {
    const { predictions } = await ask('{"rows": [{"orders.count": 1, "orders.spend": 1e400, "colour": 1}]}');
    assertEquals(predictions?.[0].marks, marked);
  });
  const entities = '"entities": [{"customer_id": "1"}]';
  for (
    const body of [
      '{"columns": {"orders.count": [1], "orders.spend": [1e400], "colour": [1]}}',
      `{${entities}, "features": [{"orders.spend": 1e400, "colour": 1}]}`,
    ]
  ) {
    const { predictions: [answer] } = await ask(body);
    assertEquals(answer.marks, marked);
  }
  const { reasons } = await ask(`{${entities}, "features": [{"orders.spend": [1], "orders.count": "few"}]}`);
  assertEquals(reasons.map(({ path }: { path: string }) => path), [
    "/features/0/orders.count",
    "/features/0/orders.spend",
  ]);
  const other = await ask('{"rows": [{}], "request": {"basket": 1}, "asOf": "yesterday"}');
  assertEquals(other.reasons.map(({ path }: { path: string }) => path), ["/asOf", "/request"]);
});

Deno.test("calls that name no model are counted", async () => {
  await using service = await startServing();
  const lines = { "content-type": "application/x-ndjson" };
  assertEquals(await post(service, "/v1/models/No%20name/predict", '{"rows": [{}]}'), 400);
  assertEquals(await post(service, "/v1/models/No%20name/predict", '{"row": {}}', lines), 400);
  assertEquals(await post(service, "/v2/models/No%20name/infer", "{"), 400);
  assertEquals(await post(service, "/v1/models/No%20name/predict", TOO_LARGE), 413);
  const reply = await service.bus.nc.request("model-serving.v1.predict", "{", { timeout: 5_000 });
  assertEquals(reply.headers?.get("Nats-Service-Error-Code"), "400");
  const text = await (await fetch(`${service.url}/metrics`)).text();
  const none = 'serving_requests_total{model="none",version="none",arm="none"';
  assertStringIncludes(text, `${none},outcome="invalid"} 4`);
  assertStringIncludes(text, `${none},outcome="too_large"} 1`);
  assertEquals(await logged(service), []);
});
