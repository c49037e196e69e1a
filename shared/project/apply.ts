import type { Bus } from "../bus/connection.ts";
import { call } from "../bus/endpoints.ts";
import type { StoredDefinition } from "../contracts/definition.ts";
import type { Project } from "../contracts/project.ts";
import { AppError, messageOf, unavailable } from "../errors.ts";
import { isInfrastructureError } from "../infrastructure_error.ts";
import { PARTS } from "./parts.ts";
import { type Change, type Plan, planProject } from "./plan.ts";

/**
 * Asks the owners what is in force and compares it with the project. Those that own no part of it may be away: the plan
 * names them.
 *
 * @param options.prune whether the plan is for removals, too: then every owner has to answer
 * @throws {AppError} `unavailable` when owners that are needed do not answer, with their names
 */
export async function fetchPlan(bus: Bus, project: Project, { prune = false } = {}): Promise<Plan> {
  const lists = [...new Map(PARTS.map((part) => [part.list.subject, part.list])).values()];
  const asked = await Promise.allSettled(lists.map((list) => call(bus, list, { project: project.project })));
  const running: StoredDefinition[] = [];
  const away: string[] = [];
  for (const [index, answer] of asked.entries()) {
    if (answer.status === "fulfilled") {
      running.push(...(answer.value as { definitions: StoredDefinition[] }).definitions);
    } else if (isInfrastructureError(answer.reason)) {
      away.push(lists[index]!.spec.service);
    } else {
      throw answer.reason;
    }
  }
  const needed = away.filter((service) => prune || ownsPartOf(service, project));
  if (needed.length > 0) {
    throw unavailable(
      `Cannot plan the project ${project.project}: ${needed.join(", ")} ` +
        `${needed.length === 1 ? "does not answer, and owns" : "do not answer, and own"} parts of it` +
        (prune ? " or may" : ""),
    );
  }
  return { ...planProject(project, running), away };
}

function ownsPartOf(service: string, project: Project): boolean {
  return PARTS.some(({ list, of }) => list.spec.service === service && Object.keys(of(project)).length > 0);
}

export interface ApplyOptions {
  actor: string;
  /** Remove what the project no longer declares; default false. */
  prune?: boolean;
  onChange?: (change: Change, failure: AppError | undefined) => void;
}

export interface ApplyResult {
  applied: number;
  failed: readonly { change: Change; error: AppError }[];
}

/**
 * Makes the changes of a plan, one after the other. A change that fails is reported and the rest go on, so that
 * running it again has only the failed ones, and what depends on them, left to do.
 */
export async function applyPlan(bus: Bus, plan: Plan, options: ApplyOptions): Promise<ApplyResult> {
  const failed: { change: Change; error: AppError }[] = [];
  let applied = 0;
  for (const change of plan.changes) {
    if (change.action === "remove" && !options.prune) continue;
    const { part, name, body } = change;
    const target = { project: plan.project, name };
    let failure: AppError | undefined;
    try {
      await (change.action === "remove"
        ? call(bus, part.remove, target, { actor: options.actor })
        : call(bus, part.put, { ...target, body }, { actor: options.actor }));
      applied++;
    } catch (error) {
      failure = error instanceof AppError
        ? error
        : new AppError("internal", messageOf(error), { cause: error });
      failed.push({ change, error: failure });
    }
    options.onChange?.(change, failure);
  }
  return { applied, failed };
}
