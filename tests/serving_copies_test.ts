/**
 * Copies of model-serving as processes behind one port, as `deno task up --copies` runs them, under load.
 *
 * The load is small by default; `MICROML_COPY_CALLS=100000` makes it long.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { call } from "shared/bus/endpoints.ts";
import { putDeployment } from "shared/contracts/model_serving.ts";
import { eventually } from "shared/testing/poll.ts";
import { sumModelFile } from "../services/model-serving/testing/model_file.ts";
import { MODEL, pointAlias, row } from "../services/model-serving/testing/serving.ts";
import { startStack } from "../scripts/stack.ts";
import { startJourneyStack } from "./journey_stack.ts";
import { startLoad } from "./serving_load.ts";

const CALLS = Number(Deno.env.get("MICROML_COPY_CALLS") ?? 3_000);

Deno.test("copies behind one port swap versions without a failed call, and a killed one takes only its own along", async () => {
  await using journey = await startJourneyStack({
    services: ["model-serving"],
    copies: { "model-serving": 2 },
  });
  const { stack, bus } = journey;
  const { url, port } = stack.services.get("model-serving")!;
  const other = stack.services.get("model-serving-2")!;
  assertEquals([other.port, other.env["INSTANCE"]], [port, "2"]);
  await call(bus, putDeployment, { project: "shop", name: MODEL, body: {} });
  await pointAlias(bus, "champion", 1, sumModelFile([1, 0]));
  const servedBy = async () => {
    const response = await fetch(`${url}/v2/models/${MODEL}/ready`, { headers: { connection: "close" } });
    await response.body?.cancel();
    assertEquals(response.status, 200);
  };
  // Often enough that both have been asked.
  await eventually(() => Promise.all(Array.from({ length: 20 }, servedBy)));

  let latest: number[] = [];
  const load = startLoad({
    url,
    model: MODEL,
    body: (call) => ({ rows: [row(call % 997, 0)] }),
    check({ version, predictions }, call) {
      const { output } = predictions[0]!;
      assertEquals(output, version * (call % 997), `call ${call}, version ${version}`);
      latest.push(version);
    },
  });
  await eventually(() => assertEquals([...load.connections().keys()].toSorted(), ["1", "2"]));
  for (let version = 2; load.answered < CALLS; version++) {
    await pointAlias(bus, "champion", version, sumModelFile([version, 0]));
    // Both answer with it, once no other version is among many answers.
    await eventually(() => {
      latest = latest.slice(-200);
      assert(latest.length === 200 && latest.every((answered) => answered === version));
    }, { timeoutMs: 60_000 });
  }
  assertEquals(load.failures, []);

  const atRisk = load.connections().get("2")!;
  await stack.kill("model-serving-2");
  const { answered } = load;
  await eventually(() => assert(load.answered > answered + CALLS / 3), { timeoutMs: 120_000 });
  // Who was connected to it may lose the one call that was on its way, and is answered by the other from then on.
  assert(
    load.failures.length <= atRisk,
    `${load.failures.length} failed, and ${atRisk} were connected to it`,
  );
  assertEquals(load.failures.filter(({ instance }) => instance !== "2"), []);
  assertEquals([...load.connections().keys()], ["1"]);

  await stack.restart("model-serving-2");
  const failed = load.failures.length;
  const again = startLoad({
    url,
    model: MODEL,
    calls: CALLS / 3,
    body: (call) => ({ rows: [row(call % 997, 0)] }),
  });
  await again.done;
  assertEquals([again.failures, load.failures.length], [[], failed]);
  assertEquals([...again.connections().keys()].toSorted(), ["1", "2"]);
  await load.stop();
});

Deno.test("copies are refused of a service that may have one only, or none of which runs", async () => {
  for (
    const [copies, services] of [[{ orchestration: 2 }, undefined], [{ "model-serving": 2 }, [
      "alert",
    ]]] as const
  ) {
    await assertRejects(
      () => startStack({ ports: "free", copies, ...(services ? { services } : {}) }),
      TypeError,
      "Cannot run copies of",
    );
  }
  await assertRejects(
    () => startStack({ ports: "free", copies: { "model-serving": 0.5 } }),
    TypeError,
    "0.5",
  );
});
