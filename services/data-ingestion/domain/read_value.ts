import { CLOUDEVENT_TYPE, CLOUDEVENTS_BATCH_TYPE } from "shared/contracts/envelope.ts";
import type { Reason } from "shared/errors.ts";
import {
  contentTypeOf,
  fromPlain,
  fromStructured,
  isRecord,
  looksLikeCloudEvent,
  type LowerCaseHeaders,
  lowerCaseNames,
  messageEnvelope,
} from "./envelopes.ts";
import {
  cutBelow,
  isAltered,
  isDeeperThan,
  MAX_DEPTH,
  type ParsedJson,
  type UnparsedText,
} from "./json_text.ts";
import type { FoundRecord, Payload, Place, UnreadableRecord } from "./received.ts";
import type { Source } from "./source.ts";

/** What reading a message's records takes besides them. */
export interface Reading {
  /** Undefined: nobody has defined it. */
  source: Source | undefined;
  headers: LowerCaseHeaders;
  /** No reason may show anything of what came: the source has secrets. */
  quiet: boolean;
}

export function readingOf(source: Source | undefined, headers: Readonly<Record<string, string>>): Reading {
  return {
    source,
    headers: lowerCaseNames(headers),
    quiet: source !== undefined && source.secrets.length > 0,
  };
}

/**
 * Reads what stands in a record's place: a JSON object or a CloudEvent.
 *
 * @param options.parsed the JSON that the value is a part of
 * @param options.payload what is kept of it if it may not come in; default: the value
 */
export function readValue(
  value: unknown,
  place: Place,
  { headers, parsed, payload = { json: value } }: Pick<Reading, "headers"> & {
    parsed: ParsedJson;
    payload?: Payload;
  },
): FoundRecord {
  if (isDeeperThan(value, MAX_DEPTH)) {
    return {
      ...place,
      payload: { json: cutBelow(value, MAX_DEPTH) },
      altered: true,
      reasons: [{ path: "", message: `is nested more than ${MAX_DEPTH} levels deep` }],
    };
  }
  const contentType = contentTypeOf(headers);
  const isCloudEvent = contentType === CLOUDEVENT_TYPE || contentType === CLOUDEVENTS_BATCH_TYPE ||
    looksLikeCloudEvent(value);
  const { data, envelope, reasons } = isCloudEvent ? fromStructured(value) : fromPlain(value, headers);
  const mistakes = mistakesIn(parsed, value, data);
  const found = { ...place, payload, altered: isAltered(mistakes), reasons: [...reasons, ...mistakes] };
  if (!isRecord(data)) return found;
  return { ...found, data, envelope: { ...messageEnvelope(headers), ...envelope } };
}

/** Mistakes in the record's data by their places in there, and those around it by theirs. */
function mistakesIn({ mistakesIn }: ParsedJson, value: unknown, data: unknown): Reason[] {
  if (value === data || !isRecord(value)) return mistakesIn(value);
  const { data: _, ...attributes } = value;
  return [...mistakesIn(attributes), ...mistakesIn(data)];
}

/** A text that is not JSON, where JSON was expected. */
export function unparsed(
  place: Place,
  { text, altered, reason, quietReason }: UnparsedText,
  { quiet }: Pick<Reading, "quiet">,
): UnreadableRecord {
  return { ...place, payload: { text }, altered, reasons: [quiet ? quietReason : reason] };
}
