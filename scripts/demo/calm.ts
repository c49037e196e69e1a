/** Stage 7: predictions for everybody on the eve of the drift, which nothing is wrong with. @module */
import { call } from "shared/bus/endpoints.ts";
import { listAlerts } from "shared/contracts/alert.ts";
import { HISTORY } from "../../examples/online-retail/expected.ts";
import type { Demo } from "./demo_context.ts";
import { predictActive } from "./drift_window.ts";

export async function predictBeforeDrift(demo: Demo): Promise<void> {
  const { bus, screen, checks } = demo;
  const window = await predictActive(demo, HISTORY, { version: 1 });
  checks.equal("the drift monitor's word", "ok", window.status);
  const { alerts } = await call(bus, listAlerts, {});
  checks.count("alerts so far", 0, alerts.length);
  screen.line("   No alert");
}
