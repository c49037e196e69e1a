/** `ml quarantined`: records that a cleaning has set aside, with all their reasons. @module */
import { call } from "shared/bus/endpoints.ts";
import { quarantined as quarantinedEndpoint } from "shared/contracts/data_preprocessing.ts";
import { defineCommand, given, JSON_OPTION, numberOption } from "./command.ts";
import { renderReason } from "./render_error.ts";
import { renderTable } from "./table.ts";

export const quarantined = defineCommand({
  name: "quarantined",
  summary: "records that a cleaning has set aside, with all their reasons, newest first",
  options: {
    source: { type: "string", value: "NAME", about: "only of this source" },
    path: { type: "string", value: "POINTER", about: "only with a reason about this place, such as /price" },
    run: { type: "string", value: "RUN", about: "of this replay instead of the live flow" },
    limit: { type: "string", value: "N", about: "at most so many, up to 1000; default 100" },
    after: { type: "string", value: "MARK", about: "go on behind the page that ended with this mark" },
    json: JSON_OPTION,
  },
  details: "The number of a record is what deno task ml redrive quarantined --number takes.",
  async run({ options: { source, path, run, limit, after, json } }, context) {
    await using bus = await context.connect();
    const reply = await call(bus, quarantinedEndpoint, {
      ...given({ source, path, run, after, limit: numberOption(limit, "limit") }),
    });
    if (json) {
      context.print(JSON.stringify(reply, null, 2));
      return 0;
    }
    context.print(renderTable(reply.quarantined, [
      { title: "number", of: ({ number }) => String(number) },
      { title: "source", of: ({ source }) => source },
      { title: "id", of: ({ id }) => id, width: 40 },
      { title: "time", of: ({ time }) => time },
      { title: "reasons", of: ({ reasons }) => reasons.map(renderReason).join("; "), width: 120 },
      { title: "record", of: ({ data }) => JSON.stringify(data), width: 80 },
    ], { empty: "Nothing is quarantined" }));
    if (reply.next !== null) context.print(`More with --after ${reply.next}`);
    return 0;
  },
});
