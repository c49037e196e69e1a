import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { StoredDefinition } from "../contracts/definition.ts";
import { AppError } from "../errors.ts";
import { defineProject } from "./define.ts";
import { PARTS } from "./parts.ts";
import { planProject, renderPlan } from "./plan.ts";

const shop = (window = "P7D") =>
  defineProject({
    project: "shop",
    sources: { visits: { kind: "events", schema: { type: "object" } } },
    entities: { user: { keys: { user: "string" } } },
    views: {
      user_visits: { entity: "user", source: "visits", features: { visits: { aggregate: "count", window } } },
    },
  });

/** The definitions in force after a project was applied. */
function running(project = shop()): StoredDefinition[] {
  return PARTS.flatMap((part) =>
    Object.entries(part.of(project)).map(([name, body]) => ({
      project: project.project,
      kind: part.kind,
      name,
      version: 1,
      body: JSON.parse(JSON.stringify(body)),
      actor: "test",
      changedAt: "2026-01-01T00:00:00.000Z",
    }))
  );
}

const summary = (plan: ReturnType<typeof planProject>) =>
  plan.changes.map(({ action, part, name }) => `${action} ${part.kind} ${name}`);

Deno.test("planProject() creates every part, what is referred to first, when nothing runs", () => {
  assertEquals(summary(planProject(shop(), [])), [
    "create project shop",
    "create source visits",
    "create entity user",
    "create view user_visits",
  ]);
});

Deno.test("planProject() finds nothing to do when the same project runs", () => {
  const plan = planProject(shop(), running());
  assertEquals(plan.changes, []);
  assertEquals(plan.unchanged, 4);
});

Deno.test("planProject() names the value that differs when a part changed", () => {
  const plan = planProject(shop("P9D"), running());
  assertEquals(summary(plan), ["change view user_visits"]);
  assertEquals(plan.changes[0]?.differences, ['features.visits.window: "P7D" -> "P9D"']);
});

Deno.test("planProject() removes in reverse order what the file no longer declares", () => {
  const plan = planProject(defineProject({ project: "shop" }), running());
  assertEquals(summary(plan), ["remove view user_visits", "remove entity user", "remove source visits"]);
  assertStringIncludes(renderPlan(plan, { prune: false }), "removed only with --prune");
});

Deno.test("defineProject() lists every reference that leads nowhere", () => {
  const error = assertThrows(() =>
    defineProject({
      project: "shop",
      cleaning: { orders: {} },
      views: {
        v: { entity: "user", source: "visits", features: { n: { aggregate: "count", window: null } } },
      },
      featureServices: { s: { features: ["v.missing", "w.n"] } },
    }), AppError);
  assertEquals(error.reasons.map(({ path }) => path), [
    "/cleaning/orders",
    "/views/v/entity",
    "/views/v/source",
    "/featureServices/s/features/0",
    "/featureServices/s/features/1",
  ]);
});

Deno.test("defineProject() names the path of a value of the wrong form", () => {
  const error = assertThrows(
    () => defineProject({ project: "Shop", entities: { user: { keys: {} } } }),
    AppError,
  );
  assertEquals(error.reasons.map(({ path }) => path), ["/project", "/entities/user/keys"]);
});
