/** `ml apply`: the difference between a project's file and what runs, and the changes. @module */
import { pathToFileURL } from "node:url";
import type { Project, ProjectInput } from "shared/contracts/project.ts";
import { invalid, messageOf } from "shared/errors.ts";
import { applyPlan, fetchPlan } from "shared/project/apply.ts";
import { defineProject } from "shared/project/mod.ts";
import { renderPlan } from "shared/project/plan.ts";
import { defineCommand } from "./command.ts";
import { renderError } from "./render_error.ts";

export const apply = defineCommand({
  name: "apply",
  summary: "show the difference between a project file (.ts or .json) and what runs, and make the changes",
  positionals: ["FILE"],
  options: {
    plan: { type: "boolean", about: "only show it" },
    prune: { type: "boolean", about: "also remove what the file no longer declares" },
  },
  details: "A change that fails does not keep back the others: run it again to go on from there.",
  async run({ positionals, options: { plan: onlyPlan = false, prune = false } }, context) {
    const [file = ""] = positionals;
    const project = await loadProject(file, context.path(file));
    await using bus = await context.connect();
    const plan = await fetchPlan(bus, project, { prune });
    context.print(renderPlan(plan, { prune }));
    if (onlyPlan || plan.changes.length === 0) return 0;

    const { applied, failed } = await applyPlan(bus, plan, { actor: context.actor, prune });
    for (const { change, error } of failed) {
      context.print(`Cannot ${change.action} ${change.part.kind} ${change.name}: ${renderError(error)}`);
    }
    context.print(
      `Applied: ${applied} made, ${failed.length} failed${
        failed.length ? "; run it again to go on from there" : ""
      }`,
    );
    return failed.length === 0 ? 0 : 1;
  },
});

/** Loads a project from a module's default export or from a JSON file, checked either way. */
async function loadProject(file: string, path: string): Promise<Project> {
  const real = await existing(file, path);
  if (file.endsWith(".json")) return defineProject(parseJson(file, await Deno.readTextFile(real)));
  const module = await import(pathToFileURL(real).href);
  if (module.default === undefined) {
    throw invalid(
      `Cannot apply ${file}: it must export a project by default: export default defineProject({ ... })`,
    );
  }
  return defineProject(module.default);
}

async function existing(file: string, path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw invalid(`Cannot apply ${file}: there is no such file`);
  }
}

function parseJson(file: string, text: string): ProjectInput {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(`Cannot apply ${file}: it must be JSON: ${messageOf(error)}`);
  }
}
