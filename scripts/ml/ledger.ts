/** `ml ledger`: what came of every record received. @module */
import { call } from "shared/bus/endpoints.ts";
import { ledger as ledgerEndpoint, type LedgerRow } from "shared/contracts/data_ingestion.ts";
import { defineCommand, given, JSON_OPTION, WrongUsage } from "./command.ts";
import { type Column, renderTable } from "./table.ts";

export const ledger = defineCommand({
  name: "ledger",
  summary:
    "what came of every record received: accepted = pending + stored + rejected + duplicates + dead letters",
  options: {
    source: { type: "string", value: "NAME", about: "only this source" },
    by: {
      type: "string",
      value: "day",
      about: "a row for each day of arrival (UTC) instead of one for each source",
    },
    from: { type: "string", value: "DATE", about: "first day of arrival counted, such as 2026-05-01" },
    to: { type: "string", value: "DATE", about: "last day of arrival counted" },
    json: JSON_OPTION,
  },
  details: "Exit code 1 when a row does not balance.",
  async run({ options: { source, by = "source", from, to, json } }, context) {
    if (by !== "day" && by !== "source") {
      throw new WrongUsage(`the option --by must be day or source, not "${by}"`);
    }
    await using bus = await context.connect();
    const sources: LedgerRow[] = [];
    let after: string | undefined;
    do {
      const page = await call(bus, ledgerEndpoint, { by, ...given({ source, from, to, after }) });
      sources.push(...page.sources);
      after = page.next ?? undefined;
    } while (after !== undefined);
    context.print(
      json
        ? JSON.stringify({ sources }, null, 2)
        : renderTable(sources, COLUMNS, { empty: "Nothing was received" }),
    );
    return sources.every(({ balanced }) => balanced) ? 0 : 1;
  },
});

const COLUMNS: Column<LedgerRow>[] = [
  { title: "source", of: ({ source }) => source },
  { title: "day", of: ({ day }) => day ?? "all" },
  { title: "accepted", of: ({ accepted }) => accepted },
  { title: "pending", of: ({ pending }) => pending },
  { title: "stored", of: ({ stored }) => stored },
  { title: "rejected", of: ({ rejected }) => rejected },
  { title: "duplicates", of: ({ duplicates }) => duplicates },
  { title: "dead letters", of: ({ deadLettered }) => deadLettered },
  { title: "balanced", of: ({ balanced }) => balanced ? "yes" : "NO" },
];
