/**
 * The difference between a project's file and what runs, as a list of changes in the order in which they are made.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { StoredDefinition } from "../contracts/definition.ts";
import type { Project } from "../contracts/project.ts";
import { type PartRow, PARTS } from "./parts.ts";

export interface Change {
  action: "create" | "change" | "remove";
  part: PartRow;
  name: string;
  /** The body to put; absent for a removal. */
  body?: unknown;
  /** For a change: one line for each value that differs. */
  differences: readonly string[];
}

export interface Plan {
  project: string;
  changes: readonly Change[];
  unchanged: number;
  /** Owners that do not answer, and own no part that the file declares; default: none. */
  away?: readonly string[];
}

/** Compares a project with the definitions in force. Creations and changes come in order, removals after them in reverse. */
export function planProject(project: Project, running: readonly StoredDefinition[]): Plan {
  const puts: Change[] = [];
  const removals: Change[] = [];
  let unchanged = 0;
  for (const part of PARTS) {
    const declared = part.of(project);
    const inForce = new Map(
      running.filter(({ kind }) => kind === part.kind).map((
        definition,
      ) => [definition.name, definition.body]),
    );
    for (const [name, body] of Object.entries(declared)) {
      if (!inForce.has(name)) puts.push({ action: "create", part, name, body, differences: [] });
      else if (isDeepStrictEqual(inForce.get(name), body)) unchanged++;
      else {puts.push({
          action: "change",
          part,
          name,
          body,
          differences: differences(inForce.get(name), body),
        });}
    }
    for (const name of inForce.keys()) {
      if (!(name in declared)) removals.push({ action: "remove", part, name, differences: [] });
    }
  }
  return { project: project.project, changes: [...puts, ...removals.reverse()], unchanged };
}

/** One line for each leaf that differs, such as `window: "P30D" -> "P28D"`. */
function differences(before: unknown, after: unknown, path = ""): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isRecord(before) || !isRecord(after)) {
    return [`${path || "(body)"}: ${text(before)} -> ${text(after)}`];
  }
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.flatMap((name) => differences(before[name], after[name], path ? `${path}.${name}` : name));
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

const text = (value: unknown) => value === undefined ? "(none)" : JSON.stringify(value);

const MARK = { create: "+", change: "~", remove: "-" } as const;

/** The plan as people read it. */
export function renderPlan(plan: Plan, options: { prune: boolean }): string {
  const lines = [`Project ${plan.project}`];
  for (const { action, part, name, differences } of plan.changes) {
    const note = action === "remove" && !options.prune
      ? "  (not in the file; removed only with --prune)"
      : "";
    lines.push(
      `  ${MARK[action]} ${part.kind} ${name}${note}`,
      ...differences.map((line) => `      ${line}`),
    );
  }
  const count = (action: Change["action"]) =>
    plan.changes.filter((change) => change.action === action).length;
  lines.push(
    `Plan: ${count("create")} to create, ${count("change")} to change, ${count("remove")} to remove` +
      `${options.prune ? "" : " with --prune"}, ${plan.unchanged} unchanged`,
  );
  if (plan.away?.length) {
    lines.push(
      `Away: ${plan.away.join(", ")}; nothing in the file is theirs, and what they hold is not compared`,
    );
  }
  return lines.join("\n");
}
