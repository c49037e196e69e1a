import { assertEquals, assertRejects } from "@std/assert";
import { serveEndpoints } from "shared/bus/endpoints.ts";
import { bind } from "shared/contracts/endpoint.ts";
import { type LabelRecord, online } from "shared/contracts/feature_store.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { invalid } from "shared/errors.ts";
import { silentLogger } from "shared/log.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { storedEvents, storedMessages } from "shared/testing/streams.ts";
import { AppError, type Client, createClient, defineProject } from "../project/mod.ts";

const orders = "e.is_order";

const project = defineProject({
  project: "shop",
  sources: {
    purchases: {
      kind: "events",
      schema: {
        type: "object",
        required: ["customer", "amount"],
        properties: {
          customer: { type: "string" },
          amount: { type: "number" },
          note: { type: ["string", "null"] },
        },
      },
    },
    visits: { kind: "events", schema: { type: "object" } },
  },
  entities: {
    customer: { keys: { customer: "string" } },
    basket: { keys: { shop: "integer", basket: "string" } },
  },
  views: {
    spending: {
      entity: "customer",
      source: "purchases",
      request: { basket: "number", channel: "string" },
      features: {
        total: { aggregate: "sum", field: "amount", window: "P30D", where: orders },
        count: { aggregate: "count", window: "P30D" },
        share: { expression: "r.basket / f.total" },
      },
    },
  },
  featureServices: {
    churn: { features: ["spending.total", "spending.count"] },
    offers: { features: ["spending.share"] },
  },
  models: {
    churn: {
      task: "binary",
      entity: "customer",
      featureService: "churn",
      spine: { source: "purchases", every: "P7D", activeWithin: "P60D" },
      label: { source: "purchases", aggregate: "exists", within: "P30D" },
      algorithm: "gbdt",
      metric: "auc",
      split: { test: "P21D" },
    },
  },
});

type Shop = typeof project extends Parameters<typeof createClient<infer Input>>[0] ? Input : never;

/** Never called: that it compiles, and that the marked lines do not, is the test. */
export async function typesOf(client: Client<Shop>): Promise<unknown[]> {
  await client.publish("purchases", { customer: "ada", amount: 3 });
  await client.publish("purchases", [{ customer: "ada", amount: 3, note: null, more: "than declared" }]);
  await client.publish("visits", { anything: 1 });
  // @ts-expect-error there is no such source
  await client.publish("purchase", { customer: "ada", amount: 3 });
  // @ts-expect-error a required field is missing
  await client.publish("purchases", { customer: "ada" });
  // @ts-expect-error a field has another type
  await client.publish("purchases", { customer: "ada", amount: "3" });

  const [row] = await client.features("churn", [{ customer: "ada" }]);
  const total = row!.values["spending.total"];
  // @ts-expect-error the feature service has no such feature
  const wrong = row!.values["spending.totl"];
  // @ts-expect-error there is no such feature service
  await client.features("chrun", [{ customer: "ada" }]);
  // @ts-expect-error the entity has another key
  await client.features("churn", [{ customer_id: "ada" }]);

  await client.predict("churn", { entities: [{ customer: "ada" }], features: [{ "spending.total": 3 }] });
  await client.predict("churn", { rows: [{ "spending.total": 3, "spending.count": null }] });
  await client.predict("churn", { entities: [{ customer: "ada" }], request: { basket: 3 } });
  await client.predict("churn", { entities: [{ customer: "ada" }], request: [{ channel: null }] });
  await client.features("offers", [{ customer: "ada" }], { request: [{ basket: 3 }] });
  // @ts-expect-error a view reads no such value
  await client.predict("churn", { entities: [{ customer: "ada" }], request: { baskt: 3 } });
  // @ts-expect-error a value has another type
  await client.features("offers", [{ customer: "ada" }], { request: { basket: "3" } });
  // @ts-expect-error there is no such model
  await client.predict("chrun", { entities: [{ customer: "ada" }] });
  // @ts-expect-error a key of the entity has another type
  await client.predict("churn", { entities: [{ customer: 1 }] });
  // @ts-expect-error the model has no such feature
  await client.predict("churn", { entities: [{ customer: "ada" }], features: [{ "spending.totl": 3 }] });
  // @ts-expect-error a row lacks a feature of the model
  await client.predict("churn", { rows: [{ "spending.total": 3 }] });
  await client.label("churn", { entity: { customer: "ada" }, at: "2026-01-01T00:00:00.000Z", value: 1 });
  // @ts-expect-error the entity has another key
  await client.label("churn", { entity: { user: "ada" }, at: "2026-01-01T00:00:00.000Z", value: 1 });
  // @ts-expect-error a project has no such part
  const typo = defineProject({ project: "shop", sorces: {} });
  return [total, wrong, typo];
}

Deno.test("Client.publish() and label() put events and outcomes on the bus as the platform reads them", async () => {
  await using bus = await startTestBus();
  await using client = createClient(project, { nats: bus.url });
  await client.publish("purchases", [{ customer: "ada", amount: 3 }, { customer: "bob", amount: 4 }]);
  const messages = await storedMessages(bus, STREAM.events.name);
  assertEquals(messages.map((message) => [message.subject, message.json()]), [
    ["events.purchases", { customer: "ada", amount: 3 }],
    ["events.purchases", { customer: "bob", amount: 4 }],
  ]);

  const at = "2026-01-01T00:00:00.000Z";
  await client.label("churn", {
    entity: { customer: "ada" },
    at,
    value: 1,
    knownAt: "2026-02-01T00:00:00.000Z",
  });
  await client.label("churn", { entity: { customer: "ada" }, at, value: 0, revision: 2 });
  const labels = await storedEvents<LabelRecord>(bus, STREAM.labels);
  assertEquals(
    labels.map(({ id, source, time, definition, data }) => [id, source, time, definition, data.value]),
    [
      [`["ada"]@${at}`, "churn", at, 1, 1],
      [`["ada"]@${at}`, "churn", at, 2, 0],
    ],
  );
  assertEquals(labels.map(({ data }) => data.corrects), [null, 1]);
});

Deno.test("Client.features() names the values, over pages too, and errors come as they were answered", async () => {
  await using bus = await startTestBus();
  await using _store = await serveEndpoints(bus, {
    service: "feature-store",
    version: "0.0.0",
    log: silentLogger,
    endpoints: [bind(online, ({ entities, from }) => {
      if (entities.length === 1) {
        throw invalid("Cannot read features: as asked", [{ path: "/entities", message: "x" }]);
      }
      return Promise.resolve({
        features: ["spending.total", "spending.count"],
        version: 1,
        at: "2026-01-01T00:00:00.000Z",
        position: 1,
        snapshot: "7:7:",
        rows: [{
          entity: entities[from]!,
          values: [from, null],
          statuses: ["PRESENT" as const, "NULL" as const],
          eventTimes: [null, null],
        }],
        next: from + 1 < entities.length ? from + 1 : null,
      });
    })],
  });
  await using client = createClient(project, { nats: bus.url });
  const rows = await client.features("churn", [{ customer: "ada" }, { customer: "bob" }]);
  assertEquals(rows.map(({ entity, values }) => [entity, values]), [
    [{ customer: "ada" }, { "spending.total": 0, "spending.count": null }],
    [{ customer: "bob" }, { "spending.total": 1, "spending.count": null }],
  ]);
  const error = await assertRejects(() => client.features("churn", [{ customer: "ada" }]), AppError);
  assertEquals([error.code, error.reasons.length], ["invalid", 1]);
});

Deno.test("Client calls over HTTP give the problem that was answered, and say when nobody answers", async () => {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/api/data-ingestion/v1/events/purchases") {
      return Response.json({
        id: "1",
        status: request.headers.get("prefer") === "wait" ? "stored" : "duplicate",
      });
    }
    const problem = { type: "urn:microml:problem:unavailable", detail: await request.text(), reasons: [] };
    return Response.json(problem, { status: 503, headers: { "retry-after": "7" } });
  });
  const gateway = `http://127.0.0.1:${server.addr.port}`;
  await using client = createClient(project, { gateway });
  assertEquals(await client.store("purchases", { customer: "ada", amount: 3 }), {
    id: "1",
    status: "stored",
  });
  const error = await assertRejects(
    () => client.predict("churn", { entities: [{ customer: "ada" }] }),
    AppError,
    JSON.stringify({ entities: [{ customer: "ada" }] }),
  );
  assertEquals([error.code, error.retryAfter], ["unavailable", 7]);
  await assertRejects(
    () => client.label("churn", { entity: { customer: "ada" }, at: "2026-01-01T00:00:00.000Z", value: 1 }),
    AppError,
    "without nats",
  );
  await server.shutdown();
  const nobody = await assertRejects(() => client.features("churn", [{ customer: "ada" }]), AppError);
  assertEquals(nobody.code, "unavailable");
});
