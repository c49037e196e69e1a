import { assert, assertEquals } from "@std/assert";
import type { Alert } from "shared/contracts/alert.ts";
import type { Signal } from "shared/contracts/signal.ts";
import { applySignal, concerns, INITIAL_STATE, type Rule, type RuleState } from "./domain.ts";

const rule = (after = 1, resolveAfter = 1): Rule => ({
  name: "reorder-drift",
  body: {
    on: { kind: "drift", subjectType: "model", name: "reorder" },
    severity: "critical",
    after,
    resolveAfter,
    description: "",
  },
});

const signal = (status: Signal["status"]): Signal => ({
  project: "shop",
  kind: "drift",
  subjectType: "model",
  name: "reorder",
  status,
  value: 0.4,
  threshold: 0.25,
  summary: `drift is ${status}`,
  details: {},
});

/** The alerts that changed, one entry for each signal. */
function drive(rule: Rule, statuses: Signal["status"][]): (Alert | null)[] {
  let state: RuleState = INITIAL_STATE;
  let ids = 0;
  return statuses.map((status, index) => {
    const options = { at: `2026-01-0${index + 1}T00:00:00.000Z`, newId: () => `id-${++ids}` };
    const result = applySignal(rule, state, signal(status), options);
    state = result.state;
    return result.changed;
  });
}

const states = (alerts: (Alert | null)[]) => alerts.map((alert) => alert && `${alert.id} ${alert.state}`);

Deno.test("applySignal() fires once for a run of breaches and resolves when the signal is well", () => {
  assertEquals(states(drive(rule(), ["breach", "breach", "ok", "ok"])), [
    "id-1 firing",
    null,
    "id-1 resolved",
    null,
  ]);
});

Deno.test("applySignal() waits for as many breaches and well signals in a row as the rule says", () => {
  const changes = drive(rule(2, 2), ["breach", "ok", "breach", "breach", "ok", "breach", "ok", "ok"]);
  assertEquals(states(changes), [null, null, null, "id-1 firing", null, null, null, "id-1 resolved"]);
});

Deno.test("applySignal() raises a new alert after the last one was resolved", () => {
  assertEquals(states(drive(rule(), ["breach", "ok", "breach"])), [
    "id-1 firing",
    "id-1 resolved",
    "id-2 firing",
  ]);
});

Deno.test("applySignal() counts the revisions of an alert and keeps when it began", () => {
  const [fired, resolved] = drive(rule(), ["breach", "ok"]);
  assertEquals([fired?.revision, resolved?.revision], [1, 2]);
  assertEquals(resolved?.since, fired?.since);
  assertEquals(resolved?.resolvedAt, "2026-01-02T00:00:00.000Z");
});

Deno.test("concerns() is false for another subject and for another project's signal", () => {
  const { body } = rule();
  assert(concerns({ project: "shop", body }, signal("ok")));
  assert(!concerns({ project: "shop", body }, { ...signal("ok"), name: "other" }));
  assert(!concerns({ project: "other", body }, signal("ok")));
});
