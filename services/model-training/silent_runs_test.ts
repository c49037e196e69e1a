import { assertEquals } from "@std/assert";
import { createRun, finishRun, getRun, logRun } from "shared/contracts/model_training.ts";
import { connectDatabase } from "shared/db/connection.ts";
import { silentLogger } from "shared/log.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { endSilentRuns } from "./silent_runs.ts";
import { start } from "./testing/stand.ts";

Deno.test("endSilentRuns() fails logged runs that nobody hears of, and leaves those that still speak", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-training");
  await using service = await start({ bus, databaseUrl: database.url });
  const begin = async () => (await service.call(createRun, { project: "lab" })).id;
  const [silent, speaking, finished] = [await begin(), await begin(), await begin()];
  await service.call(finishRun, { id: finished });
  await database.db`update runs set created_at = created_at - interval '50 hours'`;
  await database.db`
    update run_events set event = jsonb_set(event::jsonb, '{at}', '"2026-01-01T00:00:00.000Z"')::json`;
  await service.call(logRun, { id: speaking, progress: 0.5 });

  const db = connectDatabase({ url: database.url, log: silentLogger, max: 1 });
  try {
    const signal = new AbortController().signal;
    await endSilentRuns({ db, bus, log: silentLogger }, { hours: 48, signal });
  } finally {
    await db.end();
  }
  const runs = await Promise.all([silent, speaking, finished].map((id) => service.call(getRun, { id })));
  assertEquals(runs.map(({ status, error }) => [status, error]), [
    ["failed", "Nothing was logged for 48 h: whoever ran it is taken for dead"],
    ["running", null],
    ["done", null],
  ]);
  const events = await fetch(`${service.url}/v1/runs/${silent}/events`);
  const told = [...(await events.text()).matchAll(/^data: (.*)$/gm)].map(([, event]) => JSON.parse(event!));
  assertEquals([told.length, told.at(-1).status], [2, "failed"]);
});
