import { assertEquals } from "@std/assert";
import { HISTORY, REPLAY } from "./expected.ts";
import {
  billEachLine,
  customerOf,
  DRIFT_FROM,
  followProducts,
  type InvoiceLine,
  isOrder,
  isPriced,
  type LoadedMessage,
  loadMessages,
  type LoadOptions,
  readInvoiceLines,
} from "./load.ts";

const line = (changes: Partial<InvoiceLine> = {}): InvoiceLine => ({
  InvoiceNo: "536367",
  StockCode: "84879",
  Description: "ASSORTED COLOUR BIRD ORNAMENT",
  Quantity: "32",
  InvoiceDate: "2010-12-01 08:34:00",
  UnitPrice: "1.69",
  CustomerID: "13047.0",
  Country: "United Kingdom",
  ...changes,
});

const load = (options: LoadOptions): Promise<LoadedMessage[]> => Array.fromAsync(loadMessages(options));

const decode = ({ message }: LoadedMessage): { id: string; data: Record<string, string> }[] =>
  JSON.parse(new TextDecoder().decode(message.data));

Deno.test("loadMessages() gives the lines and products of a period, each once, with the clock at its end", async () => {
  for (
    const { period, expected } of [
      { period: { until: DRIFT_FROM }, expected: HISTORY },
      { period: { from: DRIFT_FROM }, expected: REPLAY },
    ]
  ) {
    const messages = await load(period);
    const lines = messages.flatMap(({ lines }) => lines.map(({ line }) => line));
    const withCustomer = lines.filter((line) => customerOf(line) !== undefined);
    const records = (source: string) =>
      messages.filter((message) => message.source === source).reduce((sum, { records }) => sum + records, 0);
    const newest = lines.map(({ InvoiceDate }) => InvoiceDate).sort().at(-1)!;
    const active = new Set(
      withCustomer.filter((line) =>
        isOrder(line) && Date.parse(`${line.InvoiceDate}Z`) > Date.parse(expected.clock) - 60 * 86_400_000
      ).map(customerOf),
    );
    assertEquals({
      lines: records("user_events"),
      withoutCustomer: lines.length - withCustomer.length,
      withoutPrice: withCustomer.filter((line) => !isPriced(line)).length,
      clean: withCustomer.filter(isPriced).length,
      products: records("products"),
      clock: `${newest.replace(" ", "T")}.000Z`,
      activeCustomers: active.size,
    }, expected);
    const ids = messages.flatMap((message) => decode(message).map(({ id }) => `${message.source} ${id}`));
    assertEquals(new Set(ids).size, expected.lines + expected.products);
  }
});

Deno.test("loadMessages() publishes lines as they are written, under their number in the file", async () => {
  const [message] = await load({ until: "2010-12-01T08:35:00.000Z" });
  const [event] = decode(message!);
  assertEquals(event?.id, "line-2");
  assertEquals(event?.data, { ...line() });
});

Deno.test("loadMessages() bills each line from an instant on, and changes nothing else", async () => {
  const day = { from: "2011-05-01T00:00:00.000Z", until: "2011-05-04T00:00:00.000Z" };
  const asWritten = (await load(day)).flatMap(({ lines }) => lines);
  const changed = (await load({ ...day, billEachLineFrom: DRIFT_FROM })).flatMap(({ lines }) => lines);
  const expected = asWritten.map(({ number, line }, index) => {
    if (line.InvoiceDate < "2011-05-02") return { number, line };
    const { InvoiceNo } = line;
    const position = asWritten.slice(0, index + 1).filter((other) =>
      other.line.InvoiceNo === InvoiceNo
    ).length;
    return { number, line: { ...line, InvoiceNo: `${InvoiceNo}-${position}` } };
  });
  assertEquals(changed, expected);
});

Deno.test("loadMessages() leaves out lines and what is known by them only", async () => {
  const messages = await load({
    until: "2010-12-03T00:00:00.000Z",
    keep: (line) => customerOf(line) === 13047,
  });
  const customers = messages.flatMap(({ lines }) => lines.map(({ line }) => customerOf(line)));
  assertEquals(new Set(customers), new Set([13047]));
  assertEquals(messages.at(-1)!.source, "products");
  assertEquals(messages.at(-1)!.records <= customers.length, true);
});

Deno.test("billEachLine() counts the lines of each invoice by themselves", () => {
  const bill = billEachLine("2011-05-02T00:00:00.000Z");
  const later = { InvoiceDate: "2011-05-02 08:00:00" };
  const invoices = [
    line({ InvoiceNo: "1" }),
    line({ InvoiceNo: "2", ...later }),
    line({ InvoiceNo: "C3", ...later }),
    line({ InvoiceNo: "2", ...later }),
  ].map((line) => bill(line).InvoiceNo);
  assertEquals(invoices, ["1", "2-1", "C3-1", "2-2"]);
});

Deno.test("followProducts() tells of a product when its description differs from its last one", () => {
  const productOf = followProducts();
  assertEquals(productOf(line({ StockCode: "47566b", Description: " TEA TIME " })), {
    stock_code: "47566B",
    description: "TEA TIME",
    unit_price: "1.69",
    valid_from: "2010-12-01 08:34:00",
  });
  assertEquals(productOf(line({ StockCode: "47566B", Description: "TEA TIME" })), undefined);
  assertEquals(
    productOf(line({ StockCode: "47566B", Description: "TEA TIME PARTY" }))?.description,
    "TEA TIME PARTY",
  );
});

Deno.test("followProducts() passes over postage, corrections and lines without a description", () => {
  const productOf = followProducts();
  for (
    const changes of [
      { StockCode: "POST" },
      { CustomerID: "" },
      { UnitPrice: "0.0" },
      { Description: "  " },
    ]
  ) {
    assertEquals(productOf(line(changes)), undefined, JSON.stringify(changes));
  }
});

Deno.test("readInvoiceLines() reads the extract once from its first line to its last", async () => {
  let last = 1;
  for await (const { number } of readInvoiceLines()) {
    assertEquals(number, last + 1);
    last = number;
  }
  assertEquals(last, HISTORY.lines + REPLAY.lines + 1);
});
