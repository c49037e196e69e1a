import { AppError, messageOf } from "shared/errors.ts";
import type { Privacy } from "shared/privacy.ts";
import { type ParsedJson, parseJson, readText } from "./json_text.ts";
import { readLines } from "./read_lines.ts";
import { type Reading, readingOf, readValue, unparsed } from "./read_value.ts";
import { type FoundRecord, isReadable, originText, type Place, placeOf } from "./received.ts";
import type { RefusedRecord } from "./refuse.ts";
import type { Source } from "./source.ts";

/** As it stands in the database; `json` is the text of it. */
export type KeptPayload = { json: string } | { text: string } | { sealed: string };

/** A rejected record as it was kept. */
export interface KeptRecord extends Omit<RefusedRecord, "payload" | "clock"> {
  /** What names it for people. */
  number: number;
  payload: KeptPayload;
  clock: string | null;
}

/** A record found again, with what names it if it has no id of its own. */
export type FoundAgain = FoundRecord & { fallbackId: string };

/**
 * Reads a rejected record once more, by its source as it is now.
 *
 * @returns one record; more when a whole text was rejected whose source is one of lines by now
 */
export function readAgain(
  kept: KeptRecord,
  source: Source | undefined,
  privacy: Privacy | undefined,
): FoundAgain[] {
  const { payload, fallbackId } = kept;
  const place = placeOf(kept);
  const reading = readingOf(source, kept.headers);
  const asBefore: FoundAgain = {
    ...place,
    payload: "json" in payload ? { json: JSON.parse(payload.json) as unknown } : payload,
    altered: kept.altered,
    reasons: kept.reasons,
    fallbackId,
  };
  if (kept.altered) return [asBefore];
  if ("json" in payload) {
    // It was parsed before it was kept.
    const parsed = parseJson(payload.json) as ParsedJson;
    return [{ ...readValue(parsed.value, place, { headers: reading.headers, parsed }), fallbackId }];
  }
  if ("text" in payload) return readTextAgain(payload.text, { kept, reading, asBefore });

  const opened = open(payload.sealed, privacy);
  return "reason" in opened
    ? [{ ...asBefore, reasons: [{ path: "", message: opened.reason }] }]
    : readTextAgain(opened.text, { kept, reading, asBefore }).map((record) =>
      isReadable(record) ? record : { ...record, payload }
    );
}

function open(sealed: string, privacy: Privacy | undefined): { text: string } | { reason: string } {
  if (privacy === undefined) return { reason: "is sealed, and SECRETS_KEY is not set" };
  try {
    return { text: readText(privacy.open(sealed)).text };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { reason: messageOf(error) };
  }
}

function readTextAgain(
  text: string,
  { kept, reading, asBefore }: { kept: KeptRecord; reading: Reading; asBefore: FoundAgain },
): FoundAgain[] {
  const place = placeOf(kept);
  if (reading.source?.lines !== undefined) {
    const at = (position: number): Place => ({ ...place, position: place.position + position });
    const records = readLines(text, at, reading);
    const wasNamedByPlace = kept.fallbackId === originText(place);
    return records.map((record) => ({
      ...record,
      fallbackId: records.length === 1
        ? kept.fallbackId
        : wasNamedByPlace
        ? originText(record)
        : `${kept.fallbackId}/${record.position}`,
    }));
  }
  // What was wrong with a line of a file only its reader can tell.
  if (kept.file !== undefined) return [asBefore];
  const parsed = parseJson(text);
  const record: FoundRecord = "text" in parsed
    ? unparsed(place, parsed, reading)
    : readValue(parsed.value, place, { headers: reading.headers, parsed });
  return [{ ...record, fallbackId: kept.fallbackId }];
}
