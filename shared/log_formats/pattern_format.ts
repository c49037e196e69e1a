/** Lines by a pattern of the user's own: each of its named groups is a field. @module */
import { invalid } from "../errors.ts";
import { compilePattern } from "../expressions/pattern.ts";
import { shown } from "../reason_text.ts";
import { type LineFormat, schemaOf } from "./line_format.ts";
import { anyLogTime } from "./log_time.ts";

/** As the contract of a source has it. */
const MAX_LENGTH = 2_000;

/**
 * A group that took no part in the match is null; the others are texts. A group named `time` becomes an instant where
 * it is written as logs of the known formats write theirs, and else stays as it is.
 */
export function patternFormat(source: string): LineFormat {
  const pattern = compilePattern(source, { maxLength: MAX_LENGTH });
  if (pattern.groups.length === 0) {
    throw invalid(
      `Cannot use the pattern ${JSON.stringify(source)}: it must have a named group, such as (?P<message>.*)`,
    );
  }
  return {
    schema: schemaOf(Object.fromEntries(pattern.groups.map((name) => [name, { type: ["string", "null"] }]))),
    read: (line, { arrivedAt }) => {
      const data = pattern.match(line, { whole: true });
      if (data === undefined) return { reason: `must match the pattern ${shown(source)} from end to end` };
      const time = data["time"];
      if (typeof time === "string") data["time"] = anyLogTime(time, arrivedAt) ?? time;
      return { data };
    },
  };
}
