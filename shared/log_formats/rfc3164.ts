/** Syslog in its old form, RFC 3164, as it comes by the network or stands in a file without a priority. @module */
import { parseTime } from "../contracts/time.ts";
import { cursorFormat, schemaOf } from "./line_format.ts";
import { syslogTime } from "./log_time.ts";
import { takePriority } from "./priority.ts";

/** Or as today's syslog daemons write it into files. */
const TIME =
  /([A-Z][a-z]{2} {1,2}\d{1,2} \d{2}:\d{2}:\d{2}|\d{4}-\d{2}-\d{2}T[\d:.]{8,18}(?:Z|[+-]\d{2}:\d{2})) /y;
const HOST = /(\S+) /y;
/** `sshd[4721]: `; a message need not have it. */
const APP = /([^\s:[\]]+)(?:\[([^\]\s]*)\])?: ?/y;

const nullableText = { type: ["string", "null"] };
const nullableInteger = { type: ["integer", "null"] };

export const rfc3164 = cursorFormat(
  "rfc3164",
  (cursor, { arrivedAt }) => {
    const priority = takePriority(cursor);
    const { at } = cursor;
    const expected = "a time such as Oct 11 22:14:15, and a space";
    const written = cursor.take(TIME, expected)[1]!;
    const time = syslogTime(written, arrivedAt) ?? parseTime(written) ?? cursor.fail(expected, { at });
    const host = cursor.take(HOST, "the host and a space")[1]!;
    const [, app = null, processId = null] = cursor.takeIf(APP) ?? [];
    return {
      facility: priority?.facility ?? null,
      severity: priority?.severity ?? null,
      time,
      host,
      app,
      process_id: processId,
      message: cursor.takeRest(),
    };
  },
  schemaOf({
    facility: nullableInteger,
    severity: nullableInteger,
    time: { type: "string" },
    host: { type: "string" },
    app: nullableText,
    process_id: nullableText,
    message: { type: "string" },
  }),
);
