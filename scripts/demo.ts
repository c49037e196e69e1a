/**
 * `deno task demo`: the whole loop on real data, from events to features, a model, predictions, a drift alert and a
 * better model, on a stack of its own. Every stage is checked; the exit code is 0 only when all is well.
 *
 *     deno task demo                  run it and stop everything
 *     deno task demo --keep           leave the stack up at the end, until Ctrl-C
 *     deno task demo --root FOLDER    keep data and logs there; default: .microml/demo
 *     deno task demo --free-ports     leave the usual ports alone
 *
 * @module
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { connectBus } from "shared/bus/connection.ts";
import { messageOf } from "shared/errors.ts";
import { watchStopSignals } from "shared/lifecycle.ts";
import { createLogger, silentLogger } from "shared/log.ts";
import { applyProjects } from "./demo/apply.ts";
import { predictBeforeDrift } from "./demo/calm.ts";
import { Checks } from "./demo/checks.ts";
import type { Demo } from "./demo/demo_context.ts";
import { replayWithDrift } from "./demo/drift.ts";
import { showFeatures } from "./demo/features.ts";
import { publishHistory } from "./demo/history.ts";
import { predictOne } from "./demo/prediction.ts";
import { PredictionTally } from "./demo/prediction_tally.ts";
import { Published } from "./demo/published.ts";
import { followRetraining } from "./demo/retraining.ts";
import { type Screen, standardScreen } from "./demo/screen.ts";
import { type DemoStackOptions, startDemoStack } from "./demo/start.ts";
import { showSummary, type StageRecord } from "./demo/summary.ts";
import { trainFirstModel } from "./demo/training.ts";
import { ROOT } from "./permissions.ts";
import { describeStack } from "./up.ts";
import type { Stack } from "./stack.ts";

/** After a Ctrl-C, a start that is under way may take this long before it is left to end with this process. */
const START_MAY_TAKE_MS = 5_000;

/** One run of the demo. The stack is known as soon as it starts, for an interruption must stop it. */
class DemoRun {
  readonly #options: DemoStackOptions;
  readonly #screen: Screen;
  readonly #checks = new Checks();
  readonly #stages: StageRecord[] = [];
  #current = "its start";
  #starting: Promise<Stack> | undefined;

  constructor(options: DemoStackOptions, screen: Screen) {
    this.#options = options;
    this.#screen = screen;
  }

  async run(): Promise<void> {
    const screen = this.#screen;
    const checks = this.#checks;
    const stack = await this.#stage("Start NATS, PostgreSQL and the services", () => {
      this.#starting = startDemoStack(this.#options, screen);
      return this.#starting;
    });
    await using bus = await connectBus({
      url: stack.natsUrl,
      name: "demo",
      log: createLogger("demo", { level: "error" }),
    });
    const demo: Demo = {
      stack,
      bus,
      screen,
      checks,
      published: new Published(),
      predictions: new PredictionTally(),
    };
    await this.#stage("Apply the projects", () => applyProjects(demo));
    await this.#stage("Publish the history, and count it at every stage", () => publishHistory(demo));
    await this.#stage("Read the features of one customer", () => showFeatures(demo));
    await this.#stage("Train the first model", () => trainFirstModel(demo));
    await this.#stage("Predict over HTTP", () => predictOne(demo));
    await this.#stage("Predict for everybody, before the drift", () => predictBeforeDrift(demo));
    const alert = await this.#stage("Replay the rest, with a drift in it", () => replayWithDrift(demo));
    await this.#stage("Retrain for the alert", () => followRetraining(demo, alert));
    this.#current = "its summary";
    screen.line("\nSummary");
    showSummary(demo, this.#stages);
  }

  /** What to say of an error that ended it. */
  describe(error: unknown): string {
    // The stack's own errors explain themselves; of a defect, such as a TypeError, one wants to see where.
    const isDefect = error instanceof Error && !["DemoFailure", "AppError", "Error"].includes(error.name);
    const reason = isDefect ? error.stack ?? error.message : messageOf(error);
    const logs = join(this.#options.root, ".microml", "log");
    return `The demo fails in ${this.#current}: ${reason}\nThe services' logs are in ${logs}`;
  }

  /** Stops what was started. */
  async stop(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => resolve(undefined), START_MAY_TAKE_MS);
    // A start that failed has stopped everything itself, and was reported.
    const stack = await Promise.race([this.#starting?.catch(() => undefined), late]);
    clearTimeout(timer);
    await stack?.stop();
  }

  async keep(stopped: Promise<unknown>): Promise<void> {
    const stack = await this.#starting;
    if (stack === undefined) return;
    this.#screen.line(`\nThe stack is up until Ctrl-C:\n${await describeStack(stack)}`);
    await stopped;
  }

  async #stage<T>(title: string, work: () => Promise<T>): Promise<T> {
    this.#current = `stage ${this.#stages.length + 1} (${title})`;
    this.#screen.line(`\n${this.#stages.length + 1}. ${title}`);
    const startedAt = performance.now();
    const result = await work();
    const seconds = (performance.now() - startedAt) / 1_000;
    const stack = await this.#starting;
    this.#stages.push({ title, seconds, memory: await stack?.memory() ?? [] });
    return result;
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      keep: { type: "boolean", default: false },
      root: { type: "string", default: join(ROOT, ".microml", "demo") },
      "free-ports": { type: "boolean", default: false },
    },
  });
  const screen = standardScreen();
  const ports = values["free-ports"] ? "free" : "fixed";
  const demo = new DemoRun({ root: resolve(values.root), ports }, screen);
  using signals = watchStopSignals(silentLogger);
  const run = demo.run().then(() => "through" as const, (error: unknown) => ({ error }));
  const outcome = await Promise.race([run, signals.first]);
  if (outcome === "through" && values.keep) await demo.keep(signals.first);
  if (typeof outcome === "object") screen.line(`\n${demo.describe(outcome.error)}`);
  else if (outcome !== "through") screen.line(`${outcome}: stopping`);
  await demo.stop();
  if (outcome === "through") return 0;
  return outcome === "SIGINT" ? 130 : outcome === "SIGTERM" ? 143 : 1;
}

if (import.meta.main) Deno.exit(await main());
