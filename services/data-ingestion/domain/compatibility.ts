/** What a change of a source would do to the records that are stored. @module */
import type { SourceBody } from "shared/contracts/source.ts";
import type { Reason } from "shared/errors.ts";
import { pathOf, shown } from "shared/reason_text.ts";
import { sameJson } from "./same_json.ts";
import { narrowings } from "./schema_compatibility.ts";

/**
 * The ways in which a change would refuse stored records, or give an id, a time or a field another meaning.
 *
 * How known-at times are found may change: each record carries its own, and history is loaded before the live flow
 * begins. So may bounds, retention and the format of lines: stored records are past them.
 */
export function incompatibilities(before: SourceBody, after: SourceBody): Reason[] {
  const reasons: Reason[] = [];
  const mustStay = (field: "kind" | "id" | "time" | "timeFormat", why: string) => {
    if (sameJson(before[field], after[field])) return;
    reasons.push({
      path: pathOf(field),
      message: `must stay ${shown(before[field] ?? null)}, not become ${shown(after[field] ?? null)}: ${why}`,
    });
  };
  mustStay("kind", "stored records mean something else then");
  mustStay("id", "stored records have their ids by it");
  mustStay("time", "stored records have their times by it");
  mustStay("timeFormat", "stored records have their times by it");
  return [
    ...reasons,
    ...changedSecrets(before.secrets, after.secrets),
    ...narrowings(before.schema, after.schema, "/schema"),
  ];
}

function changedSecrets(before: SourceBody["secrets"], after: SourceBody["secrets"]): Reason[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name): Reason[] => {
    const [was, is] = [before[name], after[name]];
    if (was === is) return [];
    const kept = was === undefined ? "as it came" : was === "hash" ? "hashed" : "not at all";
    const path = `/secrets${pathOf(name)}`;
    return [{ path, message: `must stay ${was ?? "no secret"}: stored records hold it ${kept}` }];
  });
}
