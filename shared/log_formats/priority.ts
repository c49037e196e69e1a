import type { LineCursor } from "./line_format.ts";

const PRIORITY = /<(\d{1,3})>/y;
const HIGHEST = 191;

/** The priority `<34>` of a syslog line: its facility and severity by their numbers in RFC 5424. */
export function takePriority(cursor: LineCursor): { facility: number; severity: number } | undefined {
  const { at } = cursor;
  const match = cursor.takeIf(PRIORITY);
  if (match === undefined) return undefined;
  const priority = Number(match[1]);
  if (priority > HIGHEST) cursor.fail(`a priority from <0> to <${HIGHEST}>`, { at });
  return { facility: priority >> 3, severity: priority & 7 };
}
