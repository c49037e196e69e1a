import { assert, assertEquals, assertGreater, assertMatch, assertStringIncludes } from "@std/assert";
import { getCard, getRun, listVersions, startRun } from "shared/contracts/model_training.ts";
import type { TrainingSetColumn } from "shared/training_set_table.ts";
import { compare, ended, model, startStand } from "./testing/stand.ts";

/** Python with what the example needs; `deno run -A bench/peers/install.ts examples` installs it. */
const PYTHON = Deno.env.get("MICROML_EXAMPLES_PYTHON") ??
  `${Deno.env.get("HOME")}/.cache/microml/peers/examples/bin/python`;
const EXAMPLE = new URL("../../examples/own-trainer/", import.meta.url).pathname;

function hasPython(): boolean {
  try {
    return Deno.statSync(PYTHON).isFile;
  } catch {
    return false;
  }
}

Deno.test({
  name: "the example's trainer in Python learns with scikit-learn what model-training judges and registers",
  ignore: !hasPython(),
  async fn() {
    await using stand = await startStand({ env: { TRAINER_WAIT_SECONDS: "60" } });
    const { service, features } = stand;
    const { table } = features;
    // Text that says a little of the label, and is missing now and then.
    const region: TrainingSetColumn = {
      name: "orders.region",
      type: "text",
      categories: ["east", "north", "west"],
      values: table.labels.map((label, row) =>
        row % 10 === 0 ? NaN : label === 1 && row % 3 > 0 ? 0 : 1 + row % 2
      ),
    };
    features.table = { ...table, features: [region, ...table.features] };
    const trainer = new Deno.Command(PYTHON, {
      args: [`${EXAMPLE}sklearn_trainer.py`],
      env: { NATS_URL: `nats://${service.bus.nc.getServer()}` },
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      const ask = { model, algorithm: "sklearn_forest", parameters: { n_estimators: 30, max_depth: 4 } };
      const { id } = await service.call(startRun, ask);
      const run = await ended(service, id);
      assertEquals([run.error, run.version], [null, 1]);
      const { model: own, baseline } = run.evaluation!;
      assertGreater(baseline["log_loss"]! * 0.9, own["log_loss"]!);
      const { versions: [version] } = await service.call(listVersions, { model });
      assertEquals(version!.algorithm, "sklearn_forest");
      assertEquals(version!.signature.inputs[0], {
        name: "orders.region",
        type: "category",
        nulls: "as_trained",
        vocabulary: ["east", "north", "west"],
        unseen: "as_other",
      });
      assertEquals(run.environment["producer"], "skl2onnx");
      assertMatch(run.environment["scikit-learn"]!, /^\d+\.\d+/);
      const { curves } = await service.call(getCard, { model, version: 1 });
      assertEquals(curves!.permutation.slice(0, 2).map(({ feature }) => feature).toSorted(), [
        "orders.recency",
        "orders.region",
      ]);
      assertEquals(Object.keys(curves!.baselines), ["prior", "last_value"]);
      assertGreater(curves!.slices.length, 5);
      assert((await compare(service, 1)).passed);

      const { id: odd } = await service.call(startRun, { ...ask, parameters: { trees: 3 } });
      assertStringIncludes((await ended(service, odd)).error!, "unexpected keyword argument 'trees'");
    } finally {
      trainer.kill("SIGKILL");
      await trainer.status;
    }
  },
});

Deno.test({
  name: "the example's script in Python logs its own run",
  ignore: !hasPython(),
  async fn() {
    await using stand = await startStand();
    const { service } = stand;
    const { stdout, stderr, success } = await new Deno.Command(PYTHON, {
      args: [`${EXAMPLE}log_run.py`],
      env: { TRAINING_URL: service.url },
    }).output();
    const text = new TextDecoder();
    assert(success, text.decode(stderr));
    const run = await service.call(getRun, { id: text.decode(stdout).trim() });
    assertEquals([run.status, run.parameters, run.tags], ["done", { rate: 0.1 }, { kind: "toy" }]);
    assertEquals(run.artifacts.map(({ name }) => name), ["weights.json"]);
    assertGreater(1e-6, run.metrics["loss"]!);
  },
});
