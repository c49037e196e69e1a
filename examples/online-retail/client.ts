/**
 * What an application does with this project, by its typed client: `deno run -A examples/online-retail/client.ts` while
 * `deno task up` or the demo (`--keep`) runs. docs/CLIENT.md explains it.
 *
 * @module
 */
import { type ClientOptions, createClient } from "microml";
import project from "./project.ts";

export async function askAboutOneCustomer(where: ClientOptions) {
  await using client = createClient(project, where);

  // Stored: PostgreSQL has it, or every reason why not is thrown.
  const stored = await client.store("user_events", {
    InvoiceNo: "536390",
    StockCode: "22941",
    Quantity: "2",
    InvoiceDate: "2010-12-01 10:19:00",
    UnitPrice: "8.5",
    CustomerID: "17511.0",
  });

  const customer = { customer_id: "17841" } as const;
  const [features] = await client.features("reorder", [customer]);
  const ordersOfTheMonth = features!.values["customer_orders.orders_30d"];

  const { at, predictions } = await client.predict("reorder", { entities: [customer] });
  const chance = predictions[0]!.output;

  // What became of it; the feature store tells those that the project declares by itself.
  if (where.nats !== undefined && at !== null) {
    await client.label("reorder", { entity: customer, at, value: 1 });
  }
  return { stored, ordersOfTheMonth, chance };
}

if (import.meta.main) {
  const answer = await askAboutOneCustomer({ gateway: "http://localhost:8080" });
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(answer, null, 2)}\n`));
}
