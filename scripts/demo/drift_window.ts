/** Predictions for all active customers, and what the drift monitor makes of them. @module */
import type { z } from "zod";
import { call } from "shared/bus/endpoints.ts";
import { drift, predictionCounts } from "shared/contracts/model_monitoring.ts";
import type { ExpectedPeriod } from "../../examples/online-retail/expected.ts";
import retail from "../../examples/online-retail/project.ts";
import { waitFor } from "./checks.ts";
import { type Demo, MODEL } from "./demo_context.ts";
import { checkProbability } from "./prediction.ts";
import { mean, predictAll } from "./predictions.ts";
import { day, grouped, minute, percent } from "./screen.ts";

export type DriftWindow = z.infer<typeof drift.spec.reply>["windows"][number];

const MONITOR = "reorder_drift";
/** How many of the features that drift most are shown. */
const SHOWN = 7;

/**
 * Predicts for every customer who is active at the project's time, and waits until the monitor has counted and
 * judged them.
 */
export async function predictActive(
  demo: Demo,
  { clock, activeCustomers }: ExpectedPeriod,
  { version }: { version: number },
): Promise<DriftWindow> {
  const { screen, checks, published, predictions } = demo;
  const customers = published.activeCustomers(clock);
  checks.count("active customers", activeCustomers, customers.length);
  const { probabilities, versions, times } = await predictAll(demo, customers);
  checks.count("predictions", customers.length, probabilities.length);
  checks.equal("the versions that answered", String(version), [...versions].join(", "));
  checks.equal("the times of the predictions", clock, [...times].join(", "));
  for (const probability of probabilities) checkProbability(demo, probability);
  screen.line(
    `   ${grouped(customers.length)} customers with an order in the 60 days before ${minute(clock)}: ` +
      `on average ${percent(mean(probabilities))} to order again (version ${version})`,
  );

  await waitUntilLogged(demo);
  const window = await windowAt(demo, { clock, version });
  checks.count("predictions in the drift monitor's window", predictions.of(version, clock), window.rows);
  checks.count(
    "features and outputs compared",
    retail.featureServices["reorder"]!.features.length + 1,
    window.features.length,
  );
  showWindow(demo, window);
  return window;
}

/** Waits until model-monitoring has all predictions that the demo was given, and no error and no gap. */
export async function waitUntilLogged({ bus, checks, predictions }: Demo): Promise<void> {
  const logged = await waitFor("the prediction log to be complete", async () => {
    const { models } = await call(bus, predictionCounts, {});
    const row = models.find(({ model }) => model === MODEL);
    return row !== undefined && row.predictions + row.errors >= predictions.total ? row : undefined;
  }, { timeoutMs: 30_000 });
  checks.count("predictions logged", predictions.total, logged.predictions);
  checks.count("failed predictions logged", 0, logged.errors);
  checks.count("predictions missing in the log", 0, logged.missing);
}

function windowAt(
  { bus }: Demo,
  { clock, version }: { clock: string; version: number },
): Promise<DriftWindow> {
  return waitFor("the drift monitor's window", async () => {
    const { windows } = await call(bus, drift, { model: MODEL });
    return windows.find((window) =>
      window.monitor === MONITOR && window.version === version && window.from <= clock && clock < window.to
    );
  });
}

function showWindow({ screen }: Demo, { from, to, rows, status, features }: DriftWindow): void {
  const { threshold, minFeatures } = retail.monitors[MONITOR]!;
  const drifting = features.filter(({ psi }) => psi >= threshold);
  screen.line(
    `   Drift in ${day(from)} to ${day(to)}, ${
      grouped(rows)
    } predictions against the training's: ${status}; ` +
      `${drifting.length} of ${features.length} at a PSI of ${threshold} or more, ${minFeatures} are a breach:`,
  );
  screen.table(
    ["feature or output", "PSI"],
    features.slice(0, SHOWN).map(({ name, psi }) => [name, psi.toFixed(2)]),
  );
}
