import { eventIdSchema } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Reason } from "shared/errors.ts";
import { pointerToken } from "./json_text.ts";
import type { ReadRecord } from "./received.ts";
import type { Source } from "./source.ts";

const MAX_ID_LENGTH = eventIdSchema.maxLength ?? Infinity;

/**
 * The envelope's id; the declared fields; else what names the record in its message.
 *
 * @param options.time of the event: the state of an entity is named by when it began, too
 */
export function eventId(
  { data, envelope }: ReadRecord,
  { body }: Source,
  { time, fallback, reasons }: { time: Instant; fallback: () => string; reasons: Reason[] },
): string {
  const id = envelope.id ?? declaredId(data, body, { time, reasons }) ?? fallback();
  if (id.length > MAX_ID_LENGTH) {
    reasons.push({
      path: "",
      message: `has an id of ${id.length} characters, and may have ${MAX_ID_LENGTH}`,
    });
  }
  return id;
}

/** One field stands for itself, several as a JSON array of their texts. */
function declaredId(
  data: Readonly<Record<string, unknown>>,
  { id: fields, kind }: Source["body"],
  { time, reasons }: { time: Instant; reasons: Reason[] },
): string | undefined {
  if (fields.length === 0) return undefined;
  const parts = fields.map((field) => {
    const value = data[field];
    if (
      (typeof value === "string" && value !== "") || typeof value === "number" || typeof value === "boolean"
    ) {
      return String(value);
    }
    const path = `/${pointerToken(field)}`;
    // The schema may have said the same.
    if (!reasons.some((reason) => reason.path === path)) {
      reasons.push({ path, message: "must be a text, a number or true or false, for it is part of the id" });
    }
    return "";
  });
  const id = parts.length === 1 ? parts[0]! : JSON.stringify(parts);
  return kind === "entities" ? `${id}@${time}` : id;
}
