/** Part of stage 3: events that must not come in, each found again in the ledger with its reasons. @module */
import { call } from "shared/bus/endpoints.ts";
import { rejected } from "shared/contracts/data_ingestion.ts";
import { subject } from "shared/contracts/streams.ts";
import { USER_EVENTS } from "../../examples/online-retail/load.ts";
import { waitFor } from "./checks.ts";
import type { Demo } from "./demo_context.ts";

const GOOD_EVENT = {
  InvoiceNo: "599999",
  StockCode: "22423",
  Description: "REGENCY CAKESTAND 3 TIER",
  Quantity: "1",
  InvoiceDate: "2011-05-01 12:00:00",
  UnitPrice: "12.75",
  CustomerID: "17841.0",
  Country: "United Kingdom",
};

const { UnitPrice: _, ...WITHOUT_PRICE } = GOOD_EVENT;

interface BadEvent {
  what: string;
  source: string;
  text: string;
  /** What its reasons must speak of. */
  about: RegExp;
}

const BAD_EVENTS: readonly BadEvent[] = [
  { what: "malformed JSON", source: USER_EVENTS, text: '{"InvoiceNo": "599999",', about: /JSON/ },
  { what: "unknown source", source: "user_clicks", text: JSON.stringify(GOOD_EVENT), about: /user_clicks/ },
  { what: "missing field", source: USER_EVENTS, text: JSON.stringify(WITHOUT_PRICE), about: /UnitPrice/ },
  {
    what: "wrong type",
    source: USER_EVENTS,
    text: JSON.stringify({ ...GOOD_EVENT, Quantity: 1 }),
    about: /Quantity/,
  },
  {
    what: "the year 3000",
    source: USER_EVENTS,
    text: JSON.stringify({ ...GOOD_EVENT, InvoiceDate: "3000-01-01 00:00:00" }),
    about: /InvoiceDate.*3000/,
  },
];

export async function publishBadEvents({ bus, screen, checks, published }: Demo): Promise<void> {
  const sent: { event: BadEvent; origin: string }[] = [];
  for (const event of BAD_EVENTS) {
    const { seq } = await bus.js.publish(subject.events(event.source), new TextEncoder().encode(event.text));
    sent.push({ event, origin: `EVENTS/${seq}/0` });
    published.add(event.source, { published: 1, rejected: 1 });
  }
  const found = await waitFor("the rejected events in the ledger", async () => {
    const { rejected: records } = await call(bus, rejected, {});
    const byOrigin = new Map(records.map((record) => [record.origin, record]));
    return sent.every(({ origin }) => byOrigin.has(origin)) ? byOrigin : undefined;
  });
  screen.line(`   Published ${sent.length} bad events; rejected, with their reasons:`);
  screen.table(
    ["bad event", "source", "origin", "reason"],
    sent.map(({ event, origin }) => [
      event.what,
      event.source,
      origin,
      found.get(origin)!.reasons.map(({ path, message }) => `${path} ${message}`.trim()).join("; "),
    ]),
  );
  for (const { event, origin } of sent) {
    const record = found.get(origin)!;
    checks.atLeast(`reasons to reject ${event.what}`, 1, record.reasons.length);
    const reasons = JSON.stringify(record.reasons);
    checks.holds(`the reasons to reject ${event.what}`, event.about.test(reasons), {
      expected: `something about ${event.about.source}`,
      found: reasons,
    });
    const payload = typeof record.payload === "string" ? record.payload : JSON.stringify(record.payload);
    checks.equal(`the payload kept of ${event.what}`, event.text, payload);
  }
}
