/**
 * The end of a service's log, for people.
 *
 * @module
 */
import { logSize, logTail } from "shared/infra/server_process.ts";

/** The last lines of a log without stack traces; its JSON entries as time, level, message and error. */
export async function readableTail(file: string, lines = 8): Promise<string> {
  if (await logSize(file) === 0) return "  (its log is empty)";
  const text = await logTail(file, 0, 100);
  // An uncaught error's stack would push the error itself out of sight.
  const telling = text.split("\n").filter((line) => !/^\s+at /.test(line));
  return telling.slice(-lines).map((line) => `  ${readableLine(line)}`).join("\n");
}

/** An entry of a log in one line for people; what is no entry as it is. */
export function readableLine(line: string): string {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line);
  } catch {
    // What the runtime itself writes (a panic, a missing permission) is text.
    return line;
  }
  const { message, reason, error } = entry as {
    message?: string;
    reason?: string;
    error?: { message?: string };
  };
  const more = [reason, error?.message].filter((text) => text !== undefined && !message?.includes(text));
  return [entry["@timestamp"], entry["log.level"], message, ...more.map((text) => `(${text})`)].join(" ");
}
