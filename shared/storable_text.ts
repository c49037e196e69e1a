/**
 * Texts that JSON can say and PostgreSQL has no place for: the character U+0000, and halves of surrogate pairs.
 *
 * @module
 */
import type { Reason } from "./errors.ts";
import { pointerToken } from "./reason_text.ts";

/** Whether all texts in a value, names of fields included, can be stored. */
export function isStorable(value: unknown): boolean {
  if (typeof value === "string") return isStorableText(value);
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.every(isStorable);
  const fields = value as Record<string, unknown>;
  return Object.keys(fields).every((name) => isStorableText(name) && isStorable(fields[name]));
}

function isStorableText(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

/** The text with U+FFFD in the place of what can't be stored. */
export const storableText = (text: string): string => text.toWellFormed().replaceAll("\0", "\uFFFD");

/** What in a value can't be stored, each by its place, a JSON Pointer that can. */
export function textMistakes(value: unknown, path = ""): Reason[] {
  const reasons: Reason[] = [];
  if (typeof value === "string") {
    if (value.includes("\0")) {
      reasons.push({ path, message: "holds the character U+0000, which cannot be stored" });
    }
    if (!value.isWellFormed()) {
      reasons.push({ path, message: "holds half of a surrogate pair, which is no character" });
    }
  } else if (typeof value === "object" && value !== null) {
    for (const [name, item] of Object.entries(value)) {
      const itemPath = `${path}/${pointerToken(storableText(name))}`;
      if (!isStorableText(name)) {
        reasons.push({ path: itemPath, message: "is a field whose name cannot be stored" });
      }
      reasons.push(...textMistakes(item, itemPath));
    }
  }
  return reasons;
}
