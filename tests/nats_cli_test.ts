/**
 * The platform by NATS's own command line, as a user meets it first. Needs the program `nats` (the variable NATS_CLI,
 * or PATH).
 *
 * @module
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { connectDatabase } from "shared/db/connection.ts";
import { run } from "shared/infra/command.ts";
import { silentLogger } from "shared/log.ts";
import { applyPlan, fetchPlan } from "shared/project/apply.ts";
import { eventually } from "shared/testing/poll.ts";
import retail from "../examples/online-retail/project.ts";
import { SERVICES } from "../scripts/services.ts";
import { startJourneyStack } from "./journey_stack.ts";

const CLI = Deno.env.get("NATS_CLI") || "nats";
const isThere = (await run(CLI, ["--version"])).ok;
if (!isThere) {
  Deno.stdout.writeSync(
    new TextEncoder().encode(
      `The tests of the NATS command line are skipped: "${CLI}" is not there; NATS_CLI may name it\n`,
    ),
  );
}

const EVENT = {
  InvoiceNo: "536365",
  StockCode: "85123A",
  Description: "WHITE HANGING HEART T-LIGHT HOLDER",
  Quantity: "6",
  InvoiceDate: "2010-12-01 08:26:00",
  UnitPrice: "2.55",
  CustomerID: "17850.0",
  Country: "United Kingdom",
};

Deno.test({
  name:
    "nats pub reaches the ingestion table, with and without an envelope, and nats micro ls lists all services",
  ignore: !isThere,
  async fn(t) {
    await using journey = await startJourneyStack();
    const { stack, bus } = journey;
    await applyPlan(bus, await fetchPlan(bus, retail), { actor: "test" });
    await using database = {
      sql: connectDatabase({ url: stack.databaseUrl("data-ingestion"), log: silentLogger, max: 1 }),
      [Symbol.asyncDispose]: () => database.sql.end(),
    };
    const nats = async (...args: string[]) => {
      const { ok, stdout, reason } = await run(CLI, ["--server", stack.natsUrl, ...args]);
      assertEquals(ok, true, reason);
      return stdout;
    };
    const stored = async () => {
      const rows = await database.sql`select id, data from events where source = 'user_events' order by id`;
      return rows.map(({ id, data }) => ({ id, data }));
    };

    await t.step("nats pub events.user_events '{...}'", async () => {
      await nats("pub", "events.user_events", JSON.stringify(EVENT));
      await eventually(async () => assertEquals(await stored(), [{ id: "EVENTS/1/0", data: EVENT }]));
    });

    await t.step("the same event as a CloudEvent", async () => {
      const envelope = {
        specversion: "1.0",
        id: "order-line-1",
        source: "/till",
        type: "shop.invoice-line.v1",
        data: EVENT,
      };
      await nats("pub", "events.user_events", JSON.stringify(envelope));
      await eventually(async () => {
        assertEquals((await stored()).at(-1), { id: "order-line-1", data: EVENT });
      });
    });

    await t.step("nats micro ls", async () => {
      const list = await nats("micro", "ls");
      for (const { name } of SERVICES) assertStringIncludes(list, name);
    });
  },
});
