import { eventIdSchema } from "shared/contracts/envelope.ts";
import { pathOf, shown } from "shared/reason_text.ts";
import { type KnownFields, refuseUnusable } from "../known_fields.ts";
import type { StageStep } from "../record_state.ts";
import type { Stage, Track } from "./stage.ts";

const MAX_ID_LENGTH = eventIdSchema.maxLength ?? Infinity;
/** Each item carries the rest of its record along, so that a small record could become an endless one. */
const MAX_MADE_CHARACTERS = 4 * 1024 * 1024;

/**
 * Compiles the step that makes a record of each item of an array. What is no array, or would make more than 4 MiB,
 * stays one record, with a reason to be quarantined.
 *
 * @throws {AppError} `invalid` when a field cannot be there, or cannot be used
 */
export function compileExplode(
  { field, into = field }: Extract<StageStep, { step: "explode" }>,
  known: KnownFields,
): Stage {
  known.require([field], ["list"]);
  refuseUnusable([into]);
  known.remove([field]);
  known.add([into]);
  const path = pathOf(field);
  const refused = (track: Track, message: string): Track[] => {
    track.reasons.push({ path, message });
    track.failed.add(field).add(into);
    return [track];
  };
  return {
    kind: "explode",
    apply(track) {
      // What was wrong with the array has been told.
      if (track.failed.has(field)) return [track];
      const { [field]: items, ...rest } = track.data;
      if ((items ?? null) === null || (Array.isArray(items) && items.length === 0)) {
        track.filtered = `no item in "${field}"`;
        return [track];
      }
      if (!Array.isArray(items)) return refused(track, `must be an array, not ${shown(items)}`);
      const longestId = `${track.event.id}#${items.length - 1}`.length;
      if (longestId > MAX_ID_LENGTH) {
        return refused(
          track,
          `gives its items ids of ${longestId} characters, and they may have ${MAX_ID_LENGTH}`,
        );
      }
      const made = items.length < 2 ? 0 : items.length * JSON.stringify(rest).length;
      if (made > MAX_MADE_CHARACTERS) {
        const most = MAX_MADE_CHARACTERS;
        return refused(
          track,
          `makes ${items.length} records of ${made} characters, and they may have ${most}`,
        );
      }
      return items.map((item: unknown, index) => itemTrack(track, { ...rest, [into]: item }, index));
    },
  };
}

function itemTrack(track: Track, data: Track["data"], index: number): Track {
  const { event, origin, reasons, warnings, failed, blocked } = track;
  return {
    event: { ...event, id: `${event.id}#${index}` },
    origin,
    data,
    reasons: [...reasons],
    warnings: [...warnings],
    failed: new Set(failed),
    blocked,
    filtered: undefined,
  };
}
