/** What a copy does beside others that serve already. */
import { assert, assertEquals } from "@std/assert";
import { Svcm } from "@nats-io/services";
import { predict, putDeployment } from "shared/contracts/model_serving.ts";
import { messageOf } from "shared/errors.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { MODEL, pointAlias, row, startServing } from "./testing/serving.ts";

Deno.test("a copy that starts is asked over NATS once its models are in memory, and fails no call before", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-serving");
  await using one = await startServing({ bus, databaseUrl: database.url });
  const failures: string[] = [];
  let answered = 0;
  let isOver = false;
  const ask = async () => {
    while (!isOver) {
      try {
        await one.call(predict, { model: MODEL, rows: [row(1, 2)] });
        answered++;
      } catch (error) {
        failures.push(messageOf(error));
      }
    }
  };
  const asking = Promise.all(Array.from({ length: 8 }, ask));
  await using _other = await startServing({ bus, databaseUrl: database.url, again: true });
  // The same cast as in serveEndpoints(): the package pins another core.
  const client = new Svcm(bus.nc as unknown as ConstructorParameters<typeof Svcm>[0]).client();
  await eventually(async () => {
    const copies = await Array.fromAsync(await client.stats("model-serving"));
    const asked = copies.map(({ endpoints = [] }) =>
      endpoints.find(({ name }) => name === "predict")?.num_requests ?? 0
    );
    assert(asked.length === 2 && asked.every((requests) => requests > 0), `the copies were asked ${asked}`);
  });
  isOver = true;
  await asking;
  assertEquals(failures, []);
  assert(answered > 0);
});

Deno.test("a copy opens a shared port also while a champion of another model can't be admitted", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-serving");
  await using one = await startServing({ bus, databaseUrl: database.url });
  await one.call(putDeployment, { project: "shop", name: "broken", body: {} });
  await pointAlias(bus, "champion", 1, new TextEncoder().encode("no model"), { model: "broken" });
  await one.stop();

  const env = { HTTP_SHARED_PORT: "true" };
  await using other = await startServing({ bus, databaseUrl: database.url, again: true, env });
  const states = async () => {
    const { models } = await (await fetch(`${other.url}/v1/models`)).json();
    return Object.fromEntries(
      models.map(({ model, state }: { model: string; state: string }) => [model, state]),
    );
  };
  assertEquals(await states(), { [MODEL]: "ready", broken: "failed" });
  const ready = await fetch(`${other.url}/readyz`);
  await ready.body?.cancel();
  assertEquals(ready.status, 503);
});
