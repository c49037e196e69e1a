/** The access logs of NGINX and Apache: `common`, and `combined` with referrer and agent behind it. @module */
import type { DataRecord } from "../contracts/envelope.ts";
import { cursorFormat, type LineCursor, schemaOf } from "./line_format.ts";
import { accessLogTime } from "./log_time.ts";

const nullableText = { type: ["string", "null"] };
const nullableInteger = { type: ["integer", "null"], minimum: 0 };

const COMMON_FIELDS = {
  client: { type: "string" },
  identity: nullableText,
  user: nullableText,
  time: { type: "string" },
  method: nullableText,
  path: nullableText,
  protocol: nullableText,
  /** As it came, where it is not of the form `GET /path HTTP/1.1`; else null. */
  request: nullableText,
  status: nullableInteger,
  bytes: nullableInteger,
};

export const common = cursorFormat("common", (cursor) => {
  const record = takeCommon(cursor);
  cursor.requireEnd();
  return record;
}, schemaOf(COMMON_FIELDS));

export const combined = cursorFormat("combined", (cursor) => {
  const record = takeCommon(cursor);
  cursor.take(SPACE, "a space and the referrer in quotes");
  record["referrer"] = takeQuoted(cursor, "the referrer in quotes");
  cursor.take(SPACE, "a space and the agent in quotes");
  record["agent"] = takeQuoted(cursor, "the agent in quotes");
  cursor.requireEnd();
  return record;
}, schemaOf({ ...COMMON_FIELDS, referrer: nullableText, agent: nullableText }));

const SPACE = / /y;
const WORD = /(\S+) /y;
const STATUS_AND_BYTES = / (\d{3}|-) (\d{1,15}|-)/y;

function takeCommon(cursor: LineCursor): DataRecord {
  const client = cursor.take(WORD, "the client's address and a space")[1]!;
  const identity = cursor.take(WORD, "the client's identity, or -, and a space")[1]!;
  // A user's name may hold spaces.
  const user = cursor.takeUntil(" [", "the user, or -, and [ before the time");
  const { at } = cursor;
  const time = accessLogTime(cursor.takeUntil("] ", "the time, ] and a space")) ??
    cursor.fail("a time such as [17/May/2015:10:05:03 +0000]", { at });
  const request = takeQuoted(cursor, "the request in quotes");
  const [, status = "", bytes = ""] = cursor.take(STATUS_AND_BYTES, "the status and the number of bytes");
  return {
    client,
    identity: orNull(identity),
    user: orNull(user),
    time,
    ...splitRequest(request),
    status: status === "-" ? null : Number(status),
    bytes: bytes === "-" ? null : Number(bytes),
  };
}

const orNull = (text: string) => text === "-" ? null : text;

/** Whatever follows one place can begin in one way only: linear. */
const QUOTED = /"([^"\\]*(?:\\.[^"\\]*)*)"/ys;

function takeQuoted(cursor: LineCursor, expected: string): string | null {
  return orNull(unescaped(cursor.take(QUOTED, expected)[1]!));
}

const ESCAPED = /\\["\\]|(?:\\x[0-9a-fA-F]{2})+/g;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * What the server escaped, as it was: quotes, backslashes, and bytes where they are readable UTF-8. Other bytes, those
 * of a TLS greeting to a plain port for one, stay as they are written.
 */
function unescaped(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(
    ESCAPED,
    (escape) => escape.startsWith("\\x") ? readableBytes(escape) : escape.slice(1),
  );
}

function readableBytes(escapes: string): string {
  const bytes = Uint8Array.from(escapes.slice(2).split("\\x"), (digits) => Number.parseInt(digits, 16));
  try {
    const text = utf8.decode(bytes);
    return /\p{Cc}/u.test(text) ? escapes : text;
  } catch {
    // No text in UTF-8.
    return escapes;
  }
}

const REQUEST = /^([A-Z]+) (.+) (HTTP\/\d(?:\.\d)?)$/;

function splitRequest(request: string | null) {
  const match = REQUEST.exec(request ?? "");
  if (match === null) return { method: null, path: null, protocol: null, request };
  const [, method = "", path = "", protocol = ""] = match;
  return { method, path, protocol, request: null };
}
