/** Stage 8: the rest of the events, changed by a new billing system, and the alert that follows. @module */
import { call } from "shared/bus/endpoints.ts";
import { type Alert, listAlerts } from "shared/contracts/alert.ts";
import { DRIFT_FROM } from "../../examples/online-retail/load.ts";
import { HISTORY, REPLAY } from "../../examples/online-retail/expected.ts";
import retail from "../../examples/online-retail/project.ts";
import { waitFor } from "./checks.ts";
import { showCounts, waitForClock, waitUntilApplied } from "./counts.ts";
import type { Demo } from "./demo_context.ts";
import { predictActive } from "./drift_window.ts";
import { publishPeriod } from "./history.ts";
import { grouped } from "./screen.ts";

const RULE = "reorder_drift";

/** @returns the alert that was raised */
export async function replayWithDrift(demo: Demo): Promise<Alert> {
  const { screen, checks, published } = demo;
  screen.line("   From 2011-05-02 on, every invoice line is billed on an invoice of its own");
  const before = published.sources.get("user_events")!.published;
  await publishPeriod(demo, { from: DRIFT_FROM, billEachLineFrom: DRIFT_FROM });
  const lines = published.sources.get("user_events")!.published - before;
  checks.count("invoice lines of the replay", REPLAY.lines, lines);
  checks.count(
    "products of the history and the replay",
    HISTORY.products + REPLAY.products,
    published.sources.get("products")!.published,
  );
  screen.line(`   Published ${grouped(lines)} invoice lines and ${grouped(REPLAY.products)} products`);
  await waitUntilApplied(demo);
  await showCounts(demo);
  await waitForClock(demo, REPLAY.clock);

  const window = await predictActive(demo, REPLAY, { version: 1 });
  checks.equal("the drift monitor's word", "breach", window.status);
  const { threshold, minFeatures } = retail.monitors[RULE]!;
  const drifting = window.features.filter(({ psi }) => psi >= threshold).length;
  checks.atLeast("features and outputs that drift", minFeatures, drifting);
  return await waitForAlert(demo);
}

async function waitForAlert({ bus, screen, checks }: Demo): Promise<Alert> {
  const alert = await waitFor("the alert about the drift", async () => {
    const { alerts } = await call(bus, listAlerts, { state: "firing" });
    return alerts.find(({ rule }) => rule === RULE);
  }, { timeoutMs: 30_000 });
  const { signal } = alert;
  screen.line(
    `   Signal ${signal.kind} of ${signal.subjectType} ${signal.name}: ${signal.status}; ${signal.summary}`,
  );
  screen.line(`   Alert ${alert.rule} (${alert.severity}) fires: ${alert.id}`);
  checks.equal("the signal behind the alert", "breach", signal.status);
  checks.equal("the severity of the alert", retail.alerts[RULE]!.severity, alert.severity);
  return alert;
}
