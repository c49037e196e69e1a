import { assertEquals, assertThrows } from "@std/assert";
import { type ModelBody, modelBodySchema } from "shared/contracts/model_training.ts";
import { AppError } from "shared/errors.ts";
import { planRun } from "./plan_run.ts";

const body = (changes: Record<string, unknown> = {}): ModelBody =>
  modelBodySchema.parse({
    task: "binary",
    entity: "customer",
    featureService: "features",
    spine: { source: "events", every: "P7D", activeWithin: "P60D" },
    label: { source: "events", aggregate: "exists", within: "P30D" },
    algorithm: "gbdt",
    parameters: { rounds: 50 },
    metric: "auc",
    split: { test: "P21D" },
    ...changes,
  });

Deno.test("planRun() writes out every parameter, those of the run in place of the definition's", () => {
  const planned = planRun("reorder", body());
  assertEquals([planned.parameters["rounds"], planned.parameters["maxLeaves"], planned.seed], [50, 31, 1]);
  const replaced = planRun("reorder", body(), { parameters: { maxLeaves: 4 }, seed: 9 });
  assertEquals([replaced.parameters["rounds"], replaced.parameters["maxLeaves"], replaced.seed], [300, 4, 9]);
});

Deno.test("planRun() starts another algorithm from its own defaults", () => {
  const planned = planRun("reorder", body(), { algorithm: "logistic" });
  assertEquals([planned.algorithm, planned.parameters["l2"], planned.parameters["rounds"]], [
    "logistic",
    1,
    undefined,
  ]);
});

Deno.test("planRun() refuses what can't be trained", () => {
  const refuse = (changes: Record<string, unknown>, message: string) =>
    assertThrows(() => planRun("reorder", body(changes)), AppError, message);
  refuse({ parameters: { trees: 5 } }, "trees is unknown: it must be one of rounds, ");
  refuse({ parameters: { rounds: true } }, "rounds is true: expected number");
  refuse({ metric: "mae" }, "/metric is mae: the metric of a binary task must be one of auc, ");
  refuse({ task: "regression", algorithm: "logistic", metric: "mae" }, 'Cannot train with "logistic"');
  refuse({ quantile: 0.9 }, "/quantile is 0.9: only a regression can answer a quantile");
  refuse(
    { quantile: 0.9, task: "regression", metric: "pinball", algorithm: "linear" },
    "linear answers the mean; quantiles are answered by gbdt, prior",
  );
  refuse(
    { task: "regression", metric: "rmse", parameters: { classWeights: "balanced" } },
    "classWeights weigh classes: a regression has none",
  );
  refuse(
    { task: "multiclass", metric: "log_loss", parameters: { monotone: { "orders.count": 1 } } },
    "monotone has no meaning for several classes",
  );
  const search = { space: { rounds: { values: [5] } }, budget: { trials: 2, time: "PT0S" } };
  refuse({ search }, "/search/budget/time is PT0S: it must be longer than nothing");
  const drawn = (range: Record<string, unknown>) => ({
    search: { space: { rounds: { min: 5, max: 40, ...range } }, budget: { trials: 2 } },
  });
  refuse(drawn({}), 'rounds is a whole number, its range must say "integer": true');
  planRun("reorder", body(drawn({ integer: true })));
  planRun(
    "reorder",
    body({ search: { ...drawn({}).search, space: { learningRate: { min: 0.1, max: 1 } } } }),
  );
  refuse({ label: { source: "events", aggregate: "exists", within: "PT0S" } }, "/label/within is PT0S");
});
