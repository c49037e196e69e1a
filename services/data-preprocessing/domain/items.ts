import type { Reason } from "shared/errors.ts";
import type { Cleaned } from "./cleaning.ts";

export type Quarantined = Extract<Cleaned, { outcome: "quarantined" }>;

/** What made a record an item of another: `#2`, or `#2#0` in an array within it; empty for the record itself. */
export function itemOf(recordId: string, { id }: Pick<Cleaned, "id">): string {
  return id.slice(recordId.length);
}

/**
 * What of a record is quarantined, from what its cleaning made of it or of its items.
 *
 * @returns `items` null: all of it
 */
export function quarantinedOf(
  recordId: string,
  parts: readonly Quarantined[],
): { items: string[] | null; reasons: Reason[] } {
  const items = parts.map((part) => itemOf(recordId, part)).filter((item) => item !== "");
  const reasons = parts.flatMap((part) => {
    const item = itemOf(recordId, part);
    return item === "" ? part.reasons : part.reasons.map(({ path, message }) => ({
      path,
      message: `${message} (in the item ${item})`,
    }));
  });
  return { items: items.length === 0 ? null : items, reasons };
}
