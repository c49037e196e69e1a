import type { Bus } from "../bus/connection.ts";
import { call } from "../bus/endpoints.ts";
import type { StoredDefinition } from "../contracts/definition.ts";
import type { Project } from "../contracts/project.ts";
import { AppError, messageOf } from "../errors.ts";
import { PARTS } from "./parts.ts";
import { type Change, type Plan, planProject } from "./plan.ts";

/** Asks every owner what is in force and compares it with the project. @throws {AppError} when an owner does not answer */
export async function fetchPlan(bus: Bus, project: Project): Promise<Plan> {
  const lists = [...new Map(PARTS.map((part) => [part.list.subject, part.list])).values()];
  const running = await Promise.all(lists.map(async (list) => {
    const { definitions } = await call(bus, list, { project: project.project }) as {
      definitions: StoredDefinition[];
    };
    return definitions;
  }));
  return planProject(project, running.flat());
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
