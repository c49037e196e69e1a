/** What hangs a server that awaits something before it runs its model. MICROML_MIXED_CALLS=100000 is the long form. */
import { assertEquals } from "@std/assert";
import { bucketPut } from "shared/bus/bucket.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { putDeployment } from "shared/contracts/model_serving.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import { eventually } from "shared/testing/poll.ts";
import { signature, sumModelFile } from "./testing/model_file.ts";
import { row, startFeatureStore, startServing } from "./testing/serving.ts";

const CALLS = Number(Deno.env.get("MICROML_MIXED_CALLS") ?? 3_000);
const CONNECTIONS = 32;

Deno.test("two models asked in turn by rows and by entities, 32 calls at a time, all answer, each its own", async () => {
  await using service = await startServing({ weights: [1, 0] });
  // The lookup is what a naive server awaits before its run: each takes another time.
  await using _store = await startFeatureStore(
    service.bus,
    (entity) => [Number(entity["customer_id"]), 0],
    () => new Promise((resolve) => setTimeout(resolve, Math.random() * 3)),
  );
  await service.call(putDeployment, { project: "shop", name: "second", body: {} });
  const sha256 = await service.bus.files.put(sumModelFile([1_000, 0]));
  const entry = {
    model: "second",
    alias: "champion",
    version: 1,
    sha256,
    signature,
    revision: 1,
    project: "shop",
  };
  await publishAll(service.bus, [bucketPut(BUCKET.aliases, "second.champion", entry, "alias/second/1")]);

  async function ask(number: number): Promise<void> {
    const isSecond = number % 2 === 1;
    const count = number % 997;
    const body = number % 3 === 0
      ? { entities: [{ customer_id: String(count) }] }
      : { rows: [row(count, 0)] };
    const response = await fetch(`${service.url}/v1/models/${isSecond ? "second" : "reorder"}/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    assertEquals(response.status, 200, JSON.stringify(answer));
    assertEquals(answer.predictions[0].output, count * (isSecond ? 1_000 : 1));
  }

  await eventually(() => ask(1));
  let next = 0;
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    while (next < CALLS) await ask(next++);
  }));
});
