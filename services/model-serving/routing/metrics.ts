/** How the arms do, for Prometheus; what they answer is counted with the calls. @module */
import { Gauge, type Registry } from "prom-client";
import type { Routers } from "./routers.ts";

const STATES = ["closed", "half_open", "open"] as const;

export function measureArms(registry: Registry, routers: Routers): void {
  const gauge = (name: string, help: string, collect: (this: Gauge) => void) =>
    new Gauge({ name, help, labelNames: ["model", "arm"], registers: [registry], collect });
  const each = (read: (router: NonNullable<ReturnType<Routers["of"]>>, arm: Arm) => number) =>
    function (this: Gauge) {
      this.reset();
      for (const [model, router] of routers.all()) {
        for (const arm of router.arms) this.set({ model, arm: arm.name }, read(router, arm));
      }
    };
  type Arm = NonNullable<ReturnType<Routers["of"]>>["arms"][number];
  gauge(
    "serving_arm_weight",
    "The share of calls or keys assigned to the arm.",
    each((_, { weight }) => weight),
  );
  gauge(
    "serving_arm_in_flight",
    "Calls that the arm is answering.",
    each((router, arm) => router.inFlight(arm)),
  );
  gauge(
    "serving_arm_breaker",
    "The arm's circuit breaker: 0 closed, 1 half open, 2 open.",
    each((router, arm) => STATES.indexOf(router.breakerOf(arm))),
  );
}
