import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { predict, removeDeployment } from "shared/contracts/model_serving.ts";
import { eventually } from "shared/testing/poll.ts";
import { deploy, MODEL, row, startServing } from "./testing/serving.ts";

Deno.test("serving.predict.<model> answers over NATS, and tells mistakes as other endpoints do", async () => {
  await using service = await startServing({ weights: [1, 10] });
  const ask = async (subject: string, request: unknown) =>
    await service.bus.nc.request(subject, JSON.stringify(request), { timeout: 5_000 });
  const reply = await ask(`serving.predict.${MODEL}`, { rows: [row(1, 2)] });
  const { model, version, arm, predictions, times } = reply.json<{
    model: string;
    version: number;
    arm: string;
    predictions: { output: number }[];
    times: { totalMs: number };
  }>();
  assertEquals([model, version, arm, predictions[0]?.output], [MODEL, 1, "champion", 21]);
  assert(times.totalMs > 0);
  for (const odd of ["other", [MODEL]]) {
    const refused = await ask(`serving.predict.${MODEL}`, { model: odd, rows: [row(1, 2)] });
    assertEquals(refused.json<{ reasons: { path: string }[] }>().reasons[0]?.path, "/model");
  }
  const list = await ask(`serving.predict.${MODEL}`, [{ rows: [row(1, 2)] }]);
  assertStringIncludes(list.json<{ message: string }>().message, "expected object");
  const other = await ask("serving.predict.other", { rows: [row(1, 2)] });
  assertEquals(other.headers?.get("Nats-Service-Error-Code"), "404");
});

Deno.test("a model that is another in the path than in the body is refused, however it is written", async () => {
  await using service = await startServing();
  const deep = "[".repeat(50_000) + "]".repeat(50_000);
  for (const model of ['"other"', deep, "{}", "null"]) {
    const response = await fetch(`${service.url}/v1/models/${MODEL}/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"model": ${model}, "rows": [${JSON.stringify(row(1, 2))}]}`,
    });
    const { reasons } = await response.json();
    assertEquals([response.status, reasons[0].path], [400, "/model"]);
  }
});

Deno.test("/openapi.json describes each model by its signature", async () => {
  await using service = await startServing();
  const { paths } = await (await fetch(`${service.url}/openapi.json`)).json();
  const { post } = paths[`/v1/models/${MODEL}/predict`];
  const { rows, columns } = post.requestBody.content["application/json"].schema.properties;
  assertEquals(rows.items, {
    type: "object",
    properties: { "orders.count": { type: "number" }, "orders.spend": { type: "number" } },
    required: ["orders.count", "orders.spend"],
    additionalProperties: false,
  });
  assertEquals(columns.properties["orders.count"].items, { type: "number" });
  assertEquals(post.parameters.some(({ name }: { name: string }) => name === "model"), false);

  await deploy(service, { input: { unknown: "ignore" } });
  await eventually(async () => {
    const { paths } = await (await fetch(`${service.url}/openapi.json`)).json();
    const { schema } = paths[`/v1/models/${MODEL}/predict`].post.requestBody.content["application/json"];
    assertEquals(schema.properties.rows.items.additionalProperties, true);
  });
});

interface TensorSchema {
  properties: { name: { enum: string[] }; shape: { minItems: number; prefixItems: { const?: number }[] } };
}

Deno.test("/openapi.json describes lines and tensors of each model by its signature", async () => {
  await using service = await startServing();
  const { paths } = await (await fetch(`${service.url}/openapi.json`)).json();
  const contentOf = (path: string) => paths[path].post.requestBody.content;
  const predict = contentOf(`/v1/models/${MODEL}/predict`);
  const [, line] = predict["application/x-ndjson"].schema.anyOf;
  assertEquals(line.properties.row, predict["application/json"].schema.properties.rows.items);
  assertEquals(contentOf("/v1/models/{model}/predict")["application/x-ndjson"].schema.anyOf.length, 2);

  const responses = Object.keys(paths[`/v1/models/${MODEL}/predict`].post.responses);
  assertEquals(["422", "504"].filter((status) => !responses.includes(status)), []);

  const infer = contentOf(`/v2/models/${MODEL}/infer`);
  assertEquals(infer["application/octet-stream"].schema.format, "binary");
  const { inputs, outputs } = infer["application/json"].schema.properties;
  const tensors = inputs.items.anyOf.map(({ properties: { name, shape } }: TensorSchema) => [
    name.enum,
    shape.minItems,
    shape.prefixItems[1]?.const,
  ]);
  assertEquals(tensors, [[["features"], 2, 2], [["orders.count", "orders.spend"], 1, 1]]);
  assertEquals(outputs.items.properties.name.enum, ["value", "prediction_id"]);
  const described = Object.keys(paths).filter((path) => path.startsWith("/v2")).toSorted();
  assertEquals(described, [
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    `/v2/models/${MODEL}/infer`,
    "/v2/models/{model}",
    "/v2/models/{model}/infer",
    "/v2/models/{model}/ready",
    "/v2/models/{model}/versions/{version}",
    "/v2/models/{model}/versions/{version}/infer",
    "/v2/models/{model}/versions/{version}/ready",
    "/v2/repository/index",
  ]);
});

Deno.test("/metrics counts requests, rows, runs and times by model, version and arm", async () => {
  await using service = await startServing();
  const ask = (rows: unknown[]) =>
    fetch(`${service.url}/v1/models/${MODEL}/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ rows }),
    }).then((response) => response.body?.cancel());
  await ask([row(1, 2), row(3, 4)]);
  await ask([{ "orders.count": 1 }]);
  const text = await (await fetch(`${service.url}/metrics`)).text();
  const arm = `model="${MODEL}",version="1",arm="champion"`;
  assertStringIncludes(text, `serving_requests_total{${arm},outcome="ok"} 1`);
  assertStringIncludes(text, `serving_rows_total{${arm},outcome="ok"} 2`);
  assertStringIncludes(text, `serving_requests_total{${arm},outcome="invalid"} 1`);
  assertStringIncludes(text, `serving_run_seconds_count{${arm}} 1`);
  assertStringIncludes(text, `serving_queue_seconds_count{${arm}} 1`);
  assertStringIncludes(text, `serving_batch_rows_sum{model="${MODEL}",version="1"} 2`);
});

Deno.test("/metrics counts the records of a model that is deployed no more among those of none", async () => {
  await using service = await startServing();
  await service.call(predict, { model: MODEL, rows: [row(1, 2), row(3, 4)] });
  const made = async () => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    return text.split("\n").filter((line) => /^prediction_log_entries.*made/.test(line));
  };
  assertEquals(await made(), [`prediction_log_entries{model="${MODEL}",state="made"} 2`]);
  await service.call(removeDeployment, { project: "shop", name: MODEL });
  await eventually(async () =>
    assertEquals(await made(), ['prediction_log_entries{model="none",state="made"} 2'])
  );
});
