/** logfmt: `level=info msg="Stopping all fetchers" retry`. @module */
import { Fields } from "./fields.ts";
import { cursorFormat } from "./line_format.ts";

const SPACES = /[ \t]+/y;
const KEY = /[^\s="\p{Cc}]+/yu;
const EQUALS = /=/y;
/** Whatever follows one place can begin in one way only: linear. */
const QUOTED = /"([^"\\]*(?:\\.[^"\\]*)*)"(?=[ \t]|$)/ys;
const PLAIN = /([^\s"]*)(?=[ \t]|$)/y;
const PAIR = "a pair such as level=info";

export const logfmt = cursorFormat("logfmt", (cursor) => {
  const fields = new Fields();
  let pairs = 0;
  cursor.takeIf(SPACES);
  while (!cursor.isAtEnd()) {
    const key = cursor.take(KEY, PAIR)[0];
    if (cursor.takeIf(EQUALS)) {
      const quoted = cursor.takeIf(QUOTED)?.[1];
      fields.add(
        key,
        quoted === undefined
          ? cursor.take(PLAIN, "a value, in quotes where it holds any")[1]!
          : unescaped(quoted),
      );
      pairs++;
    } else {
      // A key by itself says that something is so.
      fields.add(key, true);
    }
    if (!cursor.takeIf(SPACES)) break;
  }
  cursor.requireEnd();
  // Any sentence is a row of keys.
  if (pairs === 0) cursor.fail(PAIR);
  return fields.toRecord();
}, { type: "object" });

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|(.))/g;

function unescaped(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(
    ESCAPE,
    (_, hex?: string, character = "") =>
      hex === undefined ? ESCAPES[character] ?? character : String.fromCharCode(Number.parseInt(hex, 16)),
  ).replaceAll("\0", "\uFFFD").toWellFormed();
}
