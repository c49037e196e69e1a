import { assertEquals, assertStringIncludes } from "@std/assert";
import type { PipelineBody } from "shared/contracts/orchestration.ts";
import { endedSteps, newRun, type Trigger, waitingSteps, withStep } from "./domain.ts";

const body: PipelineBody = { model: "reorder", on: { alerts: ["drift"] }, cooldown: "PT1H" };
const pipeline = { name: "retrain", project: "shop", body };
const alert: Trigger = { kind: "alert", reference: "alert-1" };

const start = (trigger: Trigger, lastStart?: string) =>
  newRun(pipeline, trigger, { id: "run-1", at: "2026-01-01T12:00:00.000Z", lastStart });

Deno.test("newRun() runs every step when the pipeline has not run yet", () => {
  const run = start(alert);
  assertEquals(run.status, "running");
  assertEquals(run.steps.map(({ name, status }) => `${name} ${status}`), [
    "train waiting",
    "compare waiting",
    "promote waiting",
    "confirm waiting",
  ]);
});

Deno.test("newRun() is kept as skipped, with the reason, within the cooldown", () => {
  const run = start(alert, "2026-01-01T11:00:00.001Z");
  assertEquals(run.status, "skipped");
  assertEquals(run.finishedAt, run.startedAt);
  assertStringIncludes(run.error ?? "", "PT1H");
});

Deno.test("newRun() runs again when the cooldown has passed, and at once by hand", () => {
  assertEquals(start(alert, "2026-01-01T11:00:00.000Z").status, "running");
  assertEquals(start({ kind: "manual", reference: "call-1" }, "2026-01-01T11:59:00.000Z").status, "running");
});

Deno.test("endedSteps() fails the step that was running and skips those that waited", () => {
  const steps = withStep(waitingSteps(), "train", { status: "running" });
  assertEquals(endedSteps(steps, "2026-01-01T12:00:00.000Z").map(({ status }) => status), [
    "failed",
    "skipped",
    "skipped",
    "skipped",
  ]);
});
