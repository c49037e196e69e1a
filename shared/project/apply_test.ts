import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { serveEndpoints } from "../bus/endpoints.ts";
import * as ingestion from "../contracts/data_ingestion.ts";
import * as preprocessing from "../contracts/data_preprocessing.ts";
import { AppError } from "../errors.ts";
import { silentLogger } from "../log.ts";
import { startTestBus } from "../testing/bus.ts";
import { fetchPlan } from "./apply.ts";
import { defineProject } from "./mod.ts";
import { renderPlan } from "./plan.ts";

const sources = { orders: { kind: "events" as const, schema: {} } };

Deno.test("fetchPlan() needs the owners of parts, and names the others that are away", async () => {
  await using bus = await startTestBus();
  const handler = () => Promise.resolve({ definitions: [] });
  await using _owners = await serveEndpoints(bus, {
    service: "stub",
    version: "1.0.0",
    endpoints: [
      { endpoint: ingestion.definitions, handler },
      { endpoint: preprocessing.definitions, handler },
    ],
    log: silentLogger,
  });
  const plan = await fetchPlan(bus, defineProject({ project: "shop", sources }));
  assertEquals(plan.changes.map(({ part, name }) => `${part.kind} ${name}`), [
    "project shop",
    "source orders",
  ]);
  assertEquals(plan.away?.includes("feature-store"), true);
  assertStringIncludes(renderPlan(plan, { prune: false }), "Away: feature-store, ");

  const entities = { customer: { keys: { customer_id: "integer" as const } } };
  await assertRejects(
    () => fetchPlan(bus, defineProject({ project: "shop", sources, entities })),
    AppError,
    "Cannot plan the project shop: feature-store does not answer, and owns parts of it",
  );
  // What is to be removed is known to its owner alone.
  await assertRejects(
    () => fetchPlan(bus, defineProject({ project: "shop", sources }), { prune: true }),
    AppError,
    "feature-store, model-training",
  );
});
