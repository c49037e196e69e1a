/** How the arms do, for Prometheus; what they answer is counted with the calls. @module */
import { Gauge, type Registry } from "prom-client";
import type { Arm, Router } from "./router.ts";
import type { Routers } from "./routers.ts";

const BREAKER_STATES = ["closed", "half_open", "open"] as const;

const GAUGES: readonly { name: string; help: string; read: (router: Router, arm: Arm) => number }[] = [
  {
    name: "serving_arm_weight",
    help: "The share of calls or keys assigned to the arm.",
    read: (_, { weight }) => weight,
  },
  {
    name: "serving_arm_in_flight",
    help: "Calls that the arm is answering.",
    read: (router, arm) => router.inFlight(arm),
  },
  {
    name: "serving_arm_breaker",
    help: "The arm's circuit breaker: 0 closed, 1 half open, 2 open.",
    read: (router, arm) => BREAKER_STATES.indexOf(router.breakerOf(arm)),
  },
];

export function measureArms(registry: Registry, routers: Pick<Routers, "all">): void {
  for (const { name, help, read } of GAUGES) {
    new Gauge({
      name,
      help,
      labelNames: ["model", "arm"],
      registers: [registry],
      collect() {
        // Arms that are gone leave no value behind.
        this.reset();
        for (const [model, router] of routers.all()) {
          for (const arm of router.arms) this.set({ model, arm: arm.name }, read(router, arm));
        }
      },
    });
  }
}
