/** JSON lines: an object a line, with fields as the writer named them. @module */
import { recordSchema } from "../contracts/envelope.ts";
import { messageOf } from "../errors.ts";
import type { LineFormat } from "./line_format.ts";

export const jsonLines: LineFormat = {
  schema: { type: "object" },
  read: (line) => {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      return { reason: `must be JSON${placeOf(error)}` };
    }
    const record = recordSchema.safeParse(value);
    return record.success ? { data: record.data } : { reason: "must be a JSON object" };
  },
};

/** Where the mistake is, as far as the parser tells: in some messages it quotes the text instead. */
function placeOf(error: unknown): string {
  const position = /at position (\d+)/.exec(messageOf(error))?.[1];
  return position === undefined ? "" : `: at character ${Number(position) + 1} it is not`;
}
