/** `ml dead-letters`: messages that a service could not handle. @module */
import { call } from "shared/bus/endpoints.ts";
import { listDeadLetters } from "shared/contracts/dead_letters.ts";
import { defineCommand, given, JSON_OPTION, numberOption, required } from "./command.ts";
import { renderReason } from "./render_error.ts";
import { renderTable } from "./table.ts";

export const deadLetters = defineCommand({
  name: "dead-letters",
  summary: "messages that a service could not handle, with their reasons, newest first",
  options: {
    service: {
      type: "string",
      value: "SERVICE",
      about: "the service that could not, such as data-ingestion",
    },
    name: { type: "string", value: "NAME", about: "only of this source or model" },
    limit: { type: "string", value: "N", about: "at most so many, up to 200; default 50" },
    after: { type: "string", value: "MARK", about: "go on behind the page that ended with this mark" },
    json: JSON_OPTION,
  },
  async run({ options: { service, name, limit, after, json } }, context) {
    const endpoint = listDeadLetters(required(service, "service"));
    await using bus = await context.connect();
    const reply = await call(bus, endpoint, given({ name, after, limit: numberOption(limit, "limit") }));
    if (json) {
      context.print(JSON.stringify(reply, null, 2));
      return 0;
    }
    context.print(renderTable(reply.deadLetters, [
      { title: "number", of: ({ number }) => String(number) },
      { title: "name", of: ({ name }) => name },
      { title: "from", of: ({ stream, sequence }) => sequence === null ? stream : `${stream}/${sequence}` },
      { title: "at", of: ({ at }) => at },
      { title: "attempts", of: ({ attempts }) => attempts },
      { title: "reasons", of: ({ reasons }) => reasons.map(renderReason).join("; "), width: 120 },
      { title: "message", of: ({ payload }) => payload ?? "(sealed)", width: 80 },
    ], { empty: "There are no dead letters" }));
    if (reply.next !== null) context.print(`More with --after ${reply.next}`);
    return 0;
  },
});
