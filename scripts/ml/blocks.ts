/** `ml blocks` and `ml release`: sources that are held because a blocking expectation failed. @module */
import { call } from "shared/bus/endpoints.ts";
import { type Block, listBlocks, releaseBlock } from "shared/contracts/data_preprocessing.ts";
import { defineCommand, given, JSON_OPTION, required } from "./command.ts";
import { renderTable } from "./table.ts";

export const blocks = defineCommand({
  name: "blocks",
  summary: "sources that are held because an expectation with the action block failed",
  options: { json: JSON_OPTION },
  async run({ options: { json } }, context) {
    await using bus = await context.connect();
    const blocks: Block[] = [];
    let after: string | undefined;
    do {
      const page = await call(bus, listBlocks, given({ after }));
      blocks.push(...page.blocks);
      after = page.next ?? undefined;
    } while (after !== undefined);
    context.print(
      json ? JSON.stringify({ blocks }, null, 2) : renderTable(blocks, [
        { title: "source", of: ({ source }) => source },
        { title: "since (event time)", of: ({ since }) => since },
        { title: "blocked at", of: ({ at }) => at },
        { title: "held", of: ({ held }) => held },
        { title: "reasons", of: ({ reasons }) => reasons.join("; "), width: 120 },
      ], { empty: "No source is held" }),
    );
    return 0;
  },
});

export const release = defineCommand({
  name: "release",
  summary: "let a held source go on, in the order in which its records came",
  positionals: ["SOURCE"],
  options: {
    reason: { type: "string", value: "TEXT", about: "why it may go on; is kept" },
    json: JSON_OPTION,
  },
  async run({ positionals, options: { reason, json } }, context) {
    const [source = ""] = positionals;
    const why = required(reason, "reason");
    await using bus = await context.connect();
    const reply = await call(bus, releaseBlock, { source, reason: why }, {
      actor: context.actor,
      idempotencyKey: crypto.randomUUID(),
      timeoutMs: 30_000,
    });
    const said = reply.released
      ? `Released: ${source} goes on with ${reply.held} held records`
      : `The source ${source} is not held`;
    context.print(json ? JSON.stringify(reply, null, 2) : said);
    return reply.released ? 0 : 1;
  },
});
