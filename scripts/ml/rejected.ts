/** `ml rejected`: records that could not come in, with all their reasons. @module */
import { call } from "shared/bus/endpoints.ts";
import { rejected as rejectedEndpoint } from "shared/contracts/data_ingestion.ts";
import { defineCommand, given, JSON_OPTION, numberOption } from "./command.ts";
import { renderReason } from "./render_error.ts";
import { renderTable } from "./table.ts";

export const rejected = defineCommand({
  name: "rejected",
  summary: "records that could not come in, with all their reasons, newest first",
  options: {
    source: { type: "string", value: "NAME", about: "only of this source" },
    file: { type: "string", value: "SHA256", about: "only of the file with this SHA-256, or of this upload" },
    path: { type: "string", value: "POINTER", about: "only with a reason about this place, such as /price" },
    limit: { type: "string", value: "N", about: "at most so many, up to 1000; default 100" },
    after: { type: "string", value: "MARK", about: "go on behind the page that ended with this mark" },
    json: JSON_OPTION,
  },
  details: "The number of a record is what deno task ml redrive rejected --number takes.",
  async run({ options: { source, file, path, limit, after, json } }, context) {
    await using bus = await context.connect();
    const reply = await call(bus, rejectedEndpoint, {
      ...given({ source, file, path, after, limit: numberOption(limit, "limit") }),
    });
    if (json) {
      context.print(JSON.stringify(reply, null, 2));
      return 0;
    }
    context.print(renderTable(reply.rejected, [
      { title: "number", of: ({ number }) => String(number) },
      { title: "source", of: ({ source }) => source },
      {
        title: "from",
        of: ({ file, origin }) => file === null ? origin : `${file.name.slice(0, 12)}:${file.line}`,
      },
      { title: "received", of: ({ receivedAt }) => receivedAt },
      { title: "reasons", of: ({ reasons }) => reasons.map(renderReason).join("; "), width: 120 },
      { title: "record", of: ({ payload, sealed }) => sealed ? "(sealed)" : textOf(payload), width: 80 },
    ], { empty: "Nothing is rejected" }));
    if (reply.next !== null) context.print(`More with --after ${reply.next}`);
    return 0;
  },
});

const textOf = (payload: unknown) => typeof payload === "string" ? payload : JSON.stringify(payload);
