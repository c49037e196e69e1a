/** Stage 9: the retraining that the alert started, up to the new version's answers. @module */
import { call } from "shared/bus/endpoints.ts";
import type { Alert } from "shared/contracts/alert.ts";
import { aliasHistory, getRun, listRuns, listVersions } from "shared/contracts/model_training.ts";
import { getPipelineRun, listPipelineRuns, type PipelineRun } from "shared/contracts/orchestration.ts";
import { ONE_CUSTOMER, RETRAINED_MODEL } from "../../examples/online-retail/expected.ts";
import retail from "../../examples/online-retail/project.ts";
import { DemoFailure, waitFor } from "./checks.ts";
import { ACTOR, ALIAS, type Demo, MODEL } from "./demo_context.ts";
import { waitUntilLogged } from "./drift_window.ts";
import { askForPredictions } from "./predictions.ts";
import { grouped, percent } from "./screen.ts";
import { checkEvaluation, showEvaluation, waitUntilServed } from "./training.ts";

const PIPELINE = "retrain_reorder";
const PIPELINE_LIMIT_MS = 300_000;
/** An application that goes on asking while the version changes. */
const ASK_EVERY_MS = 300;

export async function followRetraining(demo: Demo, alert: Alert): Promise<void> {
  const { bus, stack, screen, checks } = demo;
  const servingPid = stack.services.get("model-serving")!.pid;
  const { id } = await waitFor("the pipeline that the alert starts", async () => {
    const { runs } = await call(bus, listPipelineRuns, { pipeline: PIPELINE });
    return runs.find(({ trigger }) => trigger.kind === "alert" && trigger.reference === alert.id);
  });
  screen.line(`   Orchestration runs ${PIPELINE} for the alert: ${id}`);

  const asking = keepAsking(demo);
  let run: PipelineRun;
  try {
    run = await followSteps(demo, id);
    await waitUntilServed(demo, 2);
  } finally {
    await asking.stop();
  }
  checks.equal("the pipeline's outcome", "promoted", run.status);
  await showVersion(demo);
  showComparison(demo, run);
  await showAliasMoves(demo);

  const { version, predictions } = await askForPredictions(demo, [ONE_CUSTOMER.customer]);
  checks.count("the version that answers now", 2, version);
  checks.equal(
    "the process that serves",
    String(servingPid),
    String(stack.services.get("model-serving")!.pid),
  );
  checks.atLeast("answers while the version changed", 1, asking.answers());
  screen.line(
    `   Served without a restart: process ${servingPid} gave ${
      grouped(asking.answers())
    } answers meanwhile, ` +
      `none failed; now version ${version} says ${percent(predictions[0]?.output ?? NaN)} for customer ` +
      `${ONE_CUSTOMER.customer}`,
  );
  await waitUntilLogged(demo);
}

/** Shows each step as it ends. */
async function followSteps({ bus, screen }: Demo, id: string): Promise<PipelineRun> {
  const shown = new Set<string>();
  return await waitFor(`the pipeline run ${id}`, async () => {
    const run = await call(bus, getPipelineRun, { id });
    for (const { name, status, startedAt, finishedAt } of run.steps) {
      if (finishedAt === null || shown.has(name)) continue;
      shown.add(name);
      const seconds = (Date.parse(finishedAt) - Date.parse(startedAt ?? finishedAt)) / 1_000;
      screen.line(`   ${name.padEnd(8)} ${status} after ${seconds.toFixed(1)} s`);
    }
    if (run.status === "failed") throw new DemoFailure(`The pipeline run ${id} failed: ${run.error}`);
    if (run.status !== "running") return run;
    const current = run.steps.find(({ status }) => status === "running")?.name ?? "waiting";
    screen.progress(current === "train" ? await describeTraining(bus) : current);
    return undefined;
  }, { timeoutMs: PIPELINE_LIMIT_MS });
}

async function describeTraining(bus: Demo["bus"]): Promise<string> {
  const { runs: [run] } = await call(bus, listRuns, { model: MODEL, limit: 1 });
  return run === undefined ? "train" : `train: ${run.stage}, ${percent(run.progress)}`;
}

async function showVersion(demo: Demo): Promise<void> {
  const { bus, screen, checks } = demo;
  const { versions } = await call(bus, listVersions, { model: MODEL });
  checks.count(`versions of ${MODEL}`, 2, versions.length);
  const newest = versions.find(({ version }) => version === 2);
  if (newest === undefined) throw new DemoFailure(`There is no version 2 of ${MODEL}`);
  const { actor, reason } = await call(bus, getRun, { id: newest.run });
  screen.line(`   Registered ${MODEL} version 2, trained for ${actor} (${reason})`);
  if (newest.evaluation === null) throw new DemoFailure(`Version 2 of ${MODEL} was not judged`);
  showEvaluation(demo, newest.evaluation);
  checkEvaluation(demo, newest.evaluation, RETRAINED_MODEL);
  checks.holds("the aliases of version 2", newest.aliases.includes(ALIAS), {
    expected: ALIAS,
    found: newest.aliases.join(", ") || "none",
  });
}

/** The gate's numbers, as the pipeline kept them. */
function showComparison({ screen, checks }: Demo, run: PipelineRun): void {
  const compared = run.steps.find(({ name }) => name === "compare")?.result ?? {};
  const number = (key: string) => Number(compared[key] ?? NaN);
  const [champion, candidate, baseline] = [
    number("championValue"),
    number("candidateValue"),
    number("baselineValue"),
  ];
  const gain = (champion - candidate) / champion;
  const baselineGain = (baseline - candidate) / baseline;
  const { minRelativeGain, minBaselineGain, minRows } = retail.models[MODEL]!.gate;
  screen.line(
    `   Champion and candidate on the same ${grouped(number("rows"))} observations, as they are served:`,
  );
  screen.table(
    ["", `${compared["metric"]}`, "candidate better by", "the gate wants"],
    [
      ["version 1, the champion", champion.toFixed(4), percent(gain), percent(minRelativeGain)],
      ["version 2, the candidate", candidate.toFixed(4), "", ""],
      ["trivial baseline", baseline.toFixed(4), percent(baselineGain), percent(minBaselineGain)],
    ],
  );
  const reasons = compared["reasons"];
  if (Array.isArray(reasons)) screen.line(`   The gate: ${reasons.join("; ")}`);
  checks.count("observations compared on", RETRAINED_MODEL.test, number("rows"));
  checks.atLeast("observations that the gate wants", minRows, number("rows"));
  checks.count("the champion compared with", 1, number("champion"));
  checks.equal("the gate's word", "true", String(compared["passed"]));
  checks.holds("the gain over the champion", gain >= minRelativeGain, {
    expected: `at least ${percent(minRelativeGain)}`,
    found: percent(gain),
  });
  checks.holds("the gain over the trivial baseline", baselineGain >= minBaselineGain, {
    expected: `at least ${percent(minBaselineGain)}`,
    found: percent(baselineGain),
  });
}

async function showAliasMoves({ bus, screen, checks }: Demo): Promise<void> {
  const { moves } = await call(bus, aliasHistory, { model: MODEL });
  for (const { alias, version, actor, at, evidence } of moves.toReversed()) {
    screen.line(`   ${alias} -> version ${version} by ${actor} at ${at}, on comparison ${evidence}`);
  }
  checks.equal(
    "who moved the alias",
    `2 by orchestration, 1 by ${ACTOR}`,
    moves.map(({ version, actor }) => `${version} by ${actor}`).join(", "),
  );
}

/** Asks for one prediction after the other; each must be answered. */
function keepAsking(demo: Demo): { answers(): number; stop(): Promise<void> } {
  let answers = 0;
  let stopped = false;
  const asking = (async () => {
    while (!stopped) {
      await askForPredictions(demo, [ONE_CUSTOMER.customer]);
      answers++;
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    }
  })();
  // Its failure is told when it is stopped.
  asking.catch(() => {});
  return {
    answers: () => answers,
    async stop() {
      stopped = true;
      await asking;
    },
  };
}
