/** Syslog, RFC 5424. @module */
import { parseTime } from "../contracts/time.ts";
import { Fields } from "./fields.ts";
import { cursorFormat, type LineCursor, schemaOf } from "./line_format.ts";
import { takePriority } from "./priority.ts";

const VERSION = /1 /y;
const WORD = /(\S+) /y;
const NIL = /-/y;
const SPACE = / /y;
const BYTE_ORDER_MARK = /\uFEFF/y;
const ELEMENT = /\[([^\s="\]]+)/y;
const NEXT_ELEMENT = /(?=\[)/y;
const ELEMENT_END = /\]/y;
/** Whatever follows one place can begin in one way only: linear. */
const PARAMETER = / +([^\s="\]]+)="([^"\\]*(?:\\.[^"\\]*)*)"/ys;

const nullableText = { type: ["string", "null"] };

export const rfc5424 = cursorFormat(
  "rfc5424",
  (cursor) => {
    const priority = takePriority(cursor) ?? cursor.fail("a priority such as <34>");
    cursor.take(VERSION, "the version 1 and a space");
    const { at } = cursor;
    const written = takeWord(cursor, "a time, or -,");
    const time = written === null
      ? null
      : parseTime(written) ?? cursor.fail("a time such as 2003-10-11T22:14:15.003Z, or -", { at });
    return {
      ...priority,
      time,
      host: takeWord(cursor, "the host, or -,"),
      app: takeWord(cursor, "the name of the application, or -,"),
      process_id: takeWord(cursor, "the id of the process, or -,"),
      message_id: takeWord(cursor, "the id of the message, or -,"),
      structured: takeStructured(cursor),
      message: takeMessage(cursor),
    };
  },
  schemaOf({
    facility: { type: "integer" },
    severity: { type: "integer" },
    time: nullableText,
    host: nullableText,
    app: nullableText,
    process_id: nullableText,
    message_id: nullableText,
    structured: { type: ["object", "null"] },
    message: nullableText,
  }),
);

function takeWord(cursor: LineCursor, expected: string): string | null {
  const word = cursor.take(WORD, `${expected} and a space`)[1]!;
  return word === "-" ? null : word;
}

/** The elements by their ids, each with its parameters by name. */
function takeStructured(cursor: LineCursor): Record<string, unknown> | null {
  if (cursor.takeIf(NIL)) return null;
  const elements = new Fields();
  do {
    const id = cursor.take(ELEMENT, 'structured data such as [id name="value"], or -')[1]!;
    const parameters = new Fields();
    for (let match = cursor.takeIf(PARAMETER); match; match = cursor.takeIf(PARAMETER)) {
      parameters.add(match[1]!, match[2]!.replace(/\\(["\\\]])/g, "$1"));
    }
    cursor.take(ELEMENT_END, 'a parameter such as name="value", or ]');
    elements.add(id, parameters.toRecord());
  } while (cursor.takeIf(NEXT_ELEMENT));
  return elements.toRecord();
}

function takeMessage(cursor: LineCursor): string | null {
  if (cursor.isAtEnd()) return null;
  cursor.take(SPACE, "a space and the message");
  cursor.takeIf(BYTE_ORDER_MARK);
  return cursor.takeRest();
}
