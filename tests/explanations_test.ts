/**
 * Whatever is learnt, its answers are explained in their own units: what the features contribute adds up to the answer.
 *
 * @module
 */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { predict, putDeployment, servedModels } from "shared/contracts/model_serving.ts";
import { putModel } from "shared/contracts/model_training.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService } from "shared/testing/service.ts";
import { createApp as createServing } from "../services/model-serving/app.ts";
import { configSchema as servingConfig } from "../services/model-serving/config.ts";
import { observe } from "../services/model-training/testing/observations.ts";
import {
  model,
  promote,
  reorder,
  startStand,
  train,
  WEEKS,
} from "../services/model-training/testing/stand.ts";

/** How each algorithm's answers to a task add up, where that is not in the answer's own unit. */
const ADDS_UP: Readonly<Record<Signature["task"], Readonly<Record<string, string | undefined>>>> = {
  binary: { logistic: "log_odds", gbdt: "log_odds", random_forest: undefined },
  multiclass: { logistic: "log_scores", gbdt: "log_scores", random_forest: "scores" },
  regression: { linear: undefined, gbdt: undefined, random_forest: undefined },
};

const LABELS: Readonly<Record<Signature["task"], Record<string, unknown>>> = {
  binary: {},
  multiclass: {
    label: { source: "user_events", aggregate: "next", field: "channel", within: "P14D" },
    metric: "f1",
  },
  regression: {
    label: { source: "user_events", aggregate: "sum", field: "amount", within: "P14D" },
    metric: "rmse",
  },
};

/** What follows from the recency, with some luck. */
function observed(task: Signature["task"]) {
  const table = observe({ weeks: WEEKS });
  if (task === "binary") return table;
  const [recency, , noise] = table.features.map(({ values }) => values);
  const labels = table.labels.map((label, row) => {
    if (Number.isNaN(label)) return NaN;
    if (task === "regression") return 3 * recency![row]! + noise![row]!;
    if (noise![row]! < 0.2) return 0;
    return recency![row]! < -0.3 ? 0 : recency![row]! < 0.3 ? 1 : 2;
  });
  return { ...table, labels, ...(task === "multiclass" ? { labelCategories: ["app", "shop", "web"] } : {}) };
}

const listOf = (value: number | number[]) => [value].flat();

for (const task of ["binary", "multiclass", "regression"] as const) {
  Deno.test(`explain says in the answer's unit what each feature contributes (${task})`, async () => {
    await using stand = await startStand();
    const { service, features } = stand;
    await using serving = await startTestService("model-serving", servingConfig, createServing, {
      bus: service.bus,
    });
    features.table = observed(task);
    const rows = [-1, 0, 0.1, 1].map((recency) => ({
      "orders.recency": recency,
      "orders.spend": 0.5,
      "orders.noise": 0.4,
    }));
    for (const [algorithm, addsUp] of Object.entries(ADDS_UP[task])) {
      const body = reorder({ task, algorithm, parameters: {}, ...LABELS[task] });
      await service.call(putModel, { project: "shop", name: model, body });
      const version = await train(service);
      await promote(service, version);
      await serving.call(putDeployment, { project: "shop", name: model, body: {} }, { timeoutMs: 20_000 });
      await eventually(async () => {
        assertEquals((await serving.call(servedModels, {})).models[0]?.version, version);
      });
      const { predictions } = await serving.call(predict, { model, rows, explain: true });
      for (const { output, probabilities, explanation } of predictions) {
        const { unit, base, contributions, raw } = explanation!;
        assertEquals([unit, raw?.unit], [task === "regression" ? "value" : "probability", addsUp]);
        const answers = task === "multiclass" ? Object.values(probabilities!) : [output];
        const own = Object.values(contributions).map(listOf);
        answers.forEach((answer, number) => {
          const sum = own.reduce((total, parts) => total + parts[number]!, listOf(base)[number]!);
          assertAlmostEquals(sum, answer, 1e-5 * Math.max(1, Math.abs(answer)));
        });
        assert(own.flat().some((part) => Math.abs(part) > 1e-3), "some feature says something");
      }
    }
  });
}
