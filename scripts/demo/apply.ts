/** Stage 2: the definitions of the example, handed to the services that own them. @module */
import retail from "../../examples/online-retail/project.ts";
import platformLogs from "../../examples/online-retail/platform_logs.ts";
import type { Project } from "shared/contracts/project.ts";
import { applyPlan, fetchPlan } from "shared/project/apply.ts";
import { DemoFailure } from "./checks.ts";
import { ACTOR, type Demo } from "./demo_context.ts";

export async function applyProjects(demo: Demo): Promise<void> {
  for (const project of [retail, platformLogs]) await apply(project, demo);
}

async function apply(project: Project, { bus, screen, checks }: Demo): Promise<void> {
  const plan = await fetchPlan(bus, project);
  const kinds = Map.groupBy(plan.changes, ({ part }) => part.kind);
  const summary = [...kinds].map(([kind, changes]) => `${changes.length} ${kind}`).join(", ");
  const { applied, failed } = await applyPlan(bus, plan, { actor: ACTOR });
  for (const { change, error } of failed) {
    throw new DemoFailure(
      `Cannot ${change.action} the ${change.part.kind} "${change.name}": ${error.message}`,
      { cause: error },
    );
  }
  screen.line(`   ${project.project}: ${applied} definitions created (${summary})`);
  checks.count(`definitions of ${project.project} made`, plan.changes.length, applied);
  checks.atLeast(`definitions of ${project.project}`, 1, applied);

  const again = await fetchPlan(bus, project);
  checks.count(`changes left of ${project.project}`, 0, again.changes.length);
  checks.count(`definitions of ${project.project} in force`, applied, again.unchanged);
}
