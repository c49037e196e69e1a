import { type DataRecord, eventIdSchema } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Reason } from "shared/errors.ts";
import { pathOf } from "shared/reason_text.ts";
import type { ReadRecord } from "./received.ts";
import type { Source } from "./source.ts";

const MAX_ID_LENGTH = eventIdSchema.maxLength ?? Infinity;

export interface Names {
  id: string;
  /** The entity whose state the record is, where its source is of entities with declared ids. */
  entity?: string;
}

/**
 * The envelope's id; the declared fields; else what names the record in its message.
 *
 * @param options.kept the record's data, its secrets hashed
 * @param options.time of the event: the state of an entity is named by when it began, too
 */
export function namesOf(
  { data, envelope }: ReadRecord,
  { body: { id: fields, kind } }: Source,
  { kept, time, fallback, reasons }: {
    kept: DataRecord;
    time: Instant;
    fallback: () => string;
    reasons: Reason[];
  },
): Names {
  if (kind === "entities" && fields.length > 0) {
    const entity = declaredId(data, fields, { kept, reasons });
    return { id: bounded(envelope.id ?? `${entity}@${time}`, reasons), entity };
  }
  const declared = () => fields.length === 0 ? undefined : declaredId(data, fields, { kept, reasons });
  return { id: bounded(envelope.id ?? declared() ?? fallback(), reasons) };
}

function bounded(id: string, reasons: Reason[]): string {
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
  data: Readonly<DataRecord>,
  fields: readonly string[],
  { kept, reasons }: { kept: DataRecord; reasons: Reason[] },
): string {
  const parts = fields.map((field) => {
    const value = data[field];
    if (
      (typeof value === "string" && value !== "") || typeof value === "number" || typeof value === "boolean"
    ) {
      return String(kept[field]);
    }
    const path = pathOf(field);
    // The schema may have said the same.
    if (!reasons.some((reason) => reason.path === path)) {
      reasons.push({ path, message: "must be a text, a number or true or false, for it is part of the id" });
    }
    return "";
  });
  return parts.length === 1 ? parts[0]! : JSON.stringify(parts);
}
