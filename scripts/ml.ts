/**
 * The command line of the platform: `deno task ml <command>`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";
import { connectBus } from "shared/bus/connection.ts";
import type { Project, ProjectInput } from "shared/contracts/project.ts";
import { AppError, invalid, messageOf } from "shared/errors.ts";
import { createLogger } from "shared/log.ts";
import { applyPlan, fetchPlan } from "shared/project/apply.ts";
import { defineProject } from "shared/project/mod.ts";
import { renderPlan } from "shared/project/plan.ts";

const USAGE = `Usage: deno task ml apply FILE [--plan] [--prune]

  apply FILE   show the difference between a project file (.ts or .json) and what runs, and make the changes
    --plan     only show it
    --prune    also remove what the file no longer declares

  The bus is found by NATS_URL (default nats://127.0.0.1:4222).`;

const print = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(text + "\n"));

async function main(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(args);
  const [command, file] = positionals;
  if (values.help) {
    print(USAGE);
    return 0;
  }
  if (command !== "apply" || file === undefined) {
    throw invalid(`Cannot run "${positionals.join(" ")}": the command must be "apply FILE"\n\n${USAGE}`);
  }
  return await apply(await loadProject(file), values);
}

function readArguments(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        plan: { type: "boolean", default: false },
        prune: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw invalid(`Cannot read the command line: ${messageOf(error)}\n\n${USAGE}`);
  }
}

/** Loads a project from a module's default export or from a JSON file, checked either way. */
async function loadProject(file: string): Promise<Project> {
  const path = await existing(file);
  if (file.endsWith(".json")) return defineProject(parseJson(file, await Deno.readTextFile(path)));
  const module = await import(pathToFileURL(path).href);
  if (module.default === undefined) {
    throw invalid(
      `Cannot apply ${file}: it must export a project by default: export default defineProject({ ... })`,
    );
  }
  return defineProject(module.default);
}

async function existing(file: string): Promise<string> {
  try {
    return await Deno.realPath(file);
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

async function apply(project: Project, options: { plan: boolean; prune: boolean }): Promise<number> {
  await using bus = await connectBus({
    url: Deno.env.get("NATS_URL") ?? "nats://127.0.0.1:4222",
    name: "ml",
    log: createLogger("ml", { level: "warn" }),
  });
  const plan = await fetchPlan(bus, project);
  print(renderPlan(plan, options));
  if (options.plan || plan.changes.length === 0) return 0;

  const { applied, failed } = await applyPlan(bus, plan, {
    actor: `ml:${Deno.env.get("USER") ?? "unknown"}`,
    prune: options.prune,
  });
  for (const { change, error } of failed) {
    print(`Cannot ${change.action} ${change.part.kind} ${change.name}: ${render(error)}`);
  }
  print(
    `Applied: ${applied} made, ${failed.length} failed${
      failed.length ? "; run it again to go on from there" : ""
    }`,
  );
  return failed.length === 0 ? 0 : 1;
}

/** An error with all its reasons, one a line. */
function render(error: AppError): string {
  return [error.message, ...error.reasons.map(({ path, message }) => `  ${path}: ${message}`)].join("\n");
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    print(render(error));
    Deno.exit(1);
  }
}
