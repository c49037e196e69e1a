import { invalid, type Reason } from "../errors.ts";
import { reasonsOf } from "../validation.ts";
import { type Project, type ProjectInput, projectSchema } from "../contracts/project.ts";

declare const written: unique symbol;

/** A project that knows its own text: createClient takes the names and types from it. */
export type DefinedProject<Input> = Project & { readonly [written]?: Input };

/** Parts that a project does not have are mistakes also where the type is inferred. */
type NoOther<Input> = { readonly [Part in Exclude<keyof Input, keyof ProjectInput | typeof written>]: never };

/**
 * Declares a project: its sources, cleaning, entities, features, models, monitors, alerts and pipelines.
 *
 * @example
 * ```ts
 * import { defineProject } from "microml";
 *
 * export default defineProject({
 *   project: "shop",
 *   sources: { visits: { kind: "events", schema: { type: "object", required: ["user"] } } },
 *   entities: { user: { keys: { user: "string" } } },
 *   views: {
 *     user_visits: {
 *       entity: "user",
 *       source: "visits",
 *       features: { visits_7d: { aggregate: "count", window: "P7D" } },
 *     },
 *   },
 * });
 * ```
 *
 * @returns the project with every default filled in
 * @throws {AppError} `invalid`, listing every mistake: shapes first, then references to what the project lacks
 */
export function defineProject<const Input extends ProjectInput>(
  input: Input & NoOther<Input>,
): DefinedProject<Input> {
  const parsed = projectSchema.safeParse(input);
  if (!parsed.success) {
    throw invalid(
      `Cannot use the project "${input.project}": it does not have the form of a project`,
      reasonsOf(parsed.error),
    );
  }
  const reasons = danglingReferences(parsed.data);
  if (reasons.length > 0) {
    throw invalid(
      `Cannot use the project "${input.project}": it refers to what it does not declare`,
      reasons,
    );
  }
  return parsed.data;
}

/** Every reference from one part to another that leads nowhere. */
function danglingReferences(project: Project): Reason[] {
  const reasons: Reason[] = [];
  const expect = (path: string, part: keyof Project, name: string) => {
    const names = Object.keys(project[part]);
    if (names.includes(name)) return;
    reasons.push({
      path,
      message: `"${name}" is not among ${part}: ${names.join(", ") || "none is declared"}`,
    });
  };

  for (const name of Object.keys(project.cleaning)) expect(`/cleaning/${name}`, "sources", name);
  for (const [name, view] of Object.entries(project.views)) {
    expect(`/views/${name}/entity`, "entities", view.entity);
    expect(`/views/${name}/source`, "sources", view.source);
  }
  for (const [name, set] of Object.entries(project.featureServices)) {
    set.features.forEach((reference, index) => {
      const [view, feature] = reference.split(".") as [string, string];
      const path = `/featureServices/${name}/features/${index}`;
      const declared = project.views[view];
      if (!declared) expect(path, "views", view);
      else if (!(feature in declared.features)) {
        reasons.push({ path, message: `the view "${view}" has no feature "${feature}"` });
      }
    });
  }
  for (const [name, model] of Object.entries(project.models)) {
    expect(`/models/${name}/entity`, "entities", model.entity);
    expect(`/models/${name}/featureService`, "featureServices", model.featureService);
    expect(`/models/${name}/spine/source`, "sources", model.spine.source);
    expect(`/models/${name}/label/source`, "sources", model.label.source);
  }
  for (const name of Object.keys(project.deployments)) expect(`/deployments/${name}`, "models", name);
  for (const [name, monitor] of Object.entries(project.monitors)) {
    expect(`/monitors/${name}/model`, "models", monitor.model);
  }
  for (const [name, pipeline] of Object.entries(project.pipelines)) {
    expect(`/pipelines/${name}/model`, "models", pipeline.model);
    pipeline.on.alerts.forEach((rule, index) =>
      expect(`/pipelines/${name}/on/alerts/${index}`, "alerts", rule)
    );
  }
  return reasons;
}
