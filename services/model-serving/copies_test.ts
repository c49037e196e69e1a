import { assert, assertEquals } from "@std/assert";
import { freePort } from "shared/infra/ports.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { sumModelFile } from "./testing/model_file.ts";
import { MODEL, pointAlias, row, startServing } from "./testing/serving.ts";

Deno.test("copies on one port swap versions under load, and no request fails or is mixed up", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-serving");
  const port = freePort();
  const copy = (instance: string) => ({
    bus,
    databaseUrl: database.url,
    env: { HTTP_PORT: String(port), HTTP_SHARED_PORT: "true", INSTANCE: instance },
  });
  await using first = await startServing({ ...copy("one"), weights: [1, 0] });
  await using _second = await startServing({ ...copy("two"), again: true });

  const seen: { version: number; factor: number }[] = [];
  let isOver = false;
  const caller = async () => {
    for (let count = 1; !isOver; count = count % 50 + 1) {
      // A connection of its own, so that either copy may get it.
      const response = await fetch(`${first.url}/v1/models/${MODEL}/predict`, {
        method: "POST",
        headers: { "content-type": "application/json", connection: "close" },
        body: JSON.stringify({ rows: [row(count, 0)] }),
      });
      assertEquals(response.status, 200, "no request fails");
      const { version, predictions } = await response.json();
      seen.push({ version, factor: predictions[0].output / count });
    }
  };
  const callers = Promise.all(Array.from({ length: 4 }, caller));
  for (const version of [2, 3]) {
    await pointAlias(bus, "champion", version, sumModelFile([version, 0]));
    // Both copies answer with it, once no other version is among many answers.
    await eventually(() => {
      const latest = seen.slice(-40);
      assert(latest.length === 40 && latest.every((answer) => answer.version === version));
    }, { timeoutMs: 30_000 });
  }
  isOver = true;
  await callers;
  assert(seen.every(({ version, factor }) => version === factor), "each version answers as itself");
});
