/** Whether what a cleaning enriches from can be enriched from. @module */
import type { CleaningBody } from "shared/contracts/cleaning.ts";
import type { Reason } from "shared/errors.ts";
import { invalidInput } from "shared/validation.ts";
import type { Sources } from "./sources.ts";

/** @throws {AppError} `invalid` with every step that names no source of entities, or not by all of its id fields */
export async function checkEnrichments(
  { steps }: CleaningBody,
  sources: Pick<Sources, "find">,
): Promise<void> {
  const reasons: Reason[] = [];
  for (const [index, step] of steps.entries()) {
    if (step.step !== "enrich") continue;
    const message = mistakeOf(step, (await sources.find(step.from))?.body);
    if (message !== undefined) reasons.push({ path: `/steps/${index}`, message });
  }
  if (reasons.length > 0) throw invalidInput("use the cleaning", reasons);
}

function mistakeOf(
  { from, by }: Extract<CleaningBody["steps"][number], { step: "enrich" }>,
  source: { kind: string; id: readonly string[] } | undefined,
): string | undefined {
  if (source === undefined) return `enriches from "${from}", and there is no such source`;
  if (source.kind !== "entities") {
    return `enriches from "${from}", which is a source of ${source.kind}: only a source of entities has states`;
  }
  if (source.id.length === 0) {
    return `enriches from "${from}", which declares no id fields: nothing names its entities`;
  }
  if (source.id.length !== by.length) {
    return `names entities of "${from}" by ${by.length} fields (${by.join(", ")}), and their id has ` +
      `${source.id.length} (${source.id.join(", ")})`;
  }
  return undefined;
}
