/** Stage 5: the first model, judged on later weeks, made champion and served. @module */
import { call } from "shared/bus/endpoints.ts";
import { servedModels } from "shared/contracts/model_serving.ts";
import {
  compareVersions,
  type Evaluation,
  getCard,
  getRun,
  type Run,
  setAlias,
  startRun,
} from "shared/contracts/model_training.ts";
import { type ExpectedObservations, FIRST_MODEL } from "../../examples/online-retail/expected.ts";
import { DemoFailure, waitFor } from "./checks.ts";
import { ACTOR, ALIAS, type Demo, MODEL } from "./demo_context.ts";
import { day, grouped, percent } from "./screen.ts";

const TRAINING_LIMIT_MS = 240_000;

export async function trainFirstModel(demo: Demo): Promise<void> {
  const { bus, screen, checks } = demo;
  const { id } = await call(bus, startRun, { model: MODEL, reason: "the first model" }, { actor: ACTOR });
  const run = await followRun(demo, id);
  const { version, evaluation } = run;
  if (version === null || evaluation === null) throw new DemoFailure(`The run ${id} registered no version`);
  checks.count("the first version", 1, version);
  screen.line(`   Registered ${MODEL} version ${version}: ${run.algorithm}, seed ${run.seed}`);
  showEvaluation(demo, evaluation);
  checkEvaluation(demo, evaluation, FIRST_MODEL);

  const comparison = await call(bus, compareVersions, { model: MODEL, candidate: version, against: ALIAS }, {
    actor: ACTOR,
    timeoutMs: 30_000,
  });
  screen.line(`   Compared: ${comparison.reasons.join("; ")}`);
  checks.equal("the champion before", "null", String(comparison.champion));
  checks.equal("the gate's word on the first version", "true", String(comparison.passed));
  const move = await call(bus, setAlias, {
    model: MODEL,
    alias: ALIAS,
    version,
    reason: "the first model; there was no champion",
    evidence: comparison.id,
  }, { actor: ACTOR });
  checks.equal("the alias's move", "true", String(move.changed));
  await waitUntilServed(demo, version);
  await showCard(demo, version);
  screen.line(`   ${ALIAS} -> version ${version}, set by ${ACTOR}; model-serving answers with it`);
}

/** What the registry keeps of a version beside its metrics. */
async function showCard({ bus, stack, screen, checks }: Demo, version: number): Promise<void> {
  const card = await call(bus, getCard, { model: MODEL, version });
  const { signature, referenceBins, hints, trainingSet } = card.version;
  const { roc, calibration, importances } = card.curves ?? { roc: [], calibration: [], importances: [] };
  checks.count("reference bins of the card", signature.inputs.length + 1, referenceBins.length);
  checks.equal("the training set of the card's run", String(trainingSet), String(card.run.trainingSet));
  checks.equal("the judgements on the card", "true", card.comparisons.map(({ passed }) => passed).join());
  checks.equal("the alias moves on the card", ALIAS, card.moves.map(({ alias }) => alias).join());
  checks.holds("the curves of the card", roc.length > 10 && calibration.length === 10, {
    expected: "more than 10 points of the ROC curve and 10 of the calibration",
    found: `${roc.length} and ${calibration.length}`,
  });
  checks.count("importances of the card", signature.inputs.length, importances.length);
  const path = `/v1/models/${MODEL}/versions/${version}/card.html`;
  const page = await fetch(`${stack.services.get("model-training")!.url}${path}`);
  checks.holds("the card's page", page.ok && (await page.text()).includes("Calibration"), {
    expected: "its curves",
    found: page.status,
  });
  const [first] = importances;
  screen.line(`   Model card: ${path}; ${first?.feature} matters most; ${hints.length} hints of leaks`);
}

/** Shows the progress of a training run until it has ended. @throws {DemoFailure} when it failed */
export async function followRun({ bus, screen }: Demo, id: string): Promise<Run> {
  return await waitFor(`the training run ${id}`, async () => {
    const run = await call(bus, getRun, { id });
    if (run.status === "failed") throw new DemoFailure(`The training run ${id} failed: ${run.error}`);
    if (run.status === "done") return run;
    screen.progress(`training: ${run.stage}, ${percent(run.progress)}`);
    return undefined;
  }, { timeoutMs: TRAINING_LIMIT_MS });
}

export async function waitUntilServed({ bus }: Demo, version: number): Promise<void> {
  await waitFor(`version ${version} to be served`, async () => {
    const { models } = await call(bus, servedModels, {});
    const served = models.find(({ model, alias }) => model === MODEL && alias === ALIAS);
    if (served?.state === "failed") throw new DemoFailure(`Cannot serve version ${version}: ${served.error}`);
    return served?.state === "ready" && served.version === version ? served : undefined;
  });
}

export function showEvaluation({ screen }: Demo, evaluation: Evaluation): void {
  const { metric, rows, baseRate, model, baseline, interval, trainRows, trainUntil, testFrom, testUntil } =
    evaluation;
  screen.line(
    `   Learned from ${grouped(trainRows)} observations up to ${day(trainUntil)}, judged on ${
      grouped(rows)
    } ` +
      `of ${day(testFrom)} to ${day(testUntil)}, of which ${percent(baseRate)} ordered again:`,
  );
  const names = [metric, "auc", "brier"].filter((name, index, all) => all.indexOf(name) === index);
  screen.table(
    ["", ...names, `95% of ${metric}`],
    [
      ["model", ...names.map((name) => decimals(model[name])), interval.map(decimals).join(" to ")],
      ["trivial: always the training's rate", ...names.map((name) => decimals(baseline[name])), ""],
    ],
  );
}

export function checkEvaluation({ checks }: Demo, found: Evaluation, expected: ExpectedObservations): void {
  checks.count("observations to learn from", expected.train, found.trainRows);
  checks.count("observations to be judged on", expected.test, found.rows);
  checks.equal("the first time judged on", expected.testFrom, found.testFrom);
  checks.equal("the last time judged on", expected.testUntil, found.testUntil);
  checks.near("the base rate", expected.testBaseRate, found.baseRate, 5e-5);
  const { metric } = found;
  const [model, baseline] = [found.model[metric] ?? NaN, found.baseline[metric] ?? NaN];
  checks.holds(`the model's ${metric}`, model < baseline, {
    expected: `less than the trivial baseline's ${baseline}`,
    found: model,
  });
  const auc = found.model["auc"] ?? NaN;
  checks.holds("the model's AUC", auc > 0.6, { expected: "more than 0.6", found: auc });
}

const decimals = (value: number | undefined): string => value === undefined ? "-" : value.toFixed(4);
