/**
 * Reads the extract as what a shop would publish: invoice lines as user events, and products each time the
 * description of a stock code changes. From an instant on, the lines can be changed as a new billing system would
 * (README.md, "The drift").
 *
 * @module
 */
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { parse } from "csv-parse";
import type { Outgoing } from "shared/bus/message.ts";
import { CLOUDEVENTS_BATCH_TYPE, HEADER, MAX_BATCH_EVENTS } from "shared/contracts/envelope.ts";
import { subject } from "shared/contracts/streams.ts";
import type { Instant } from "shared/contracts/time.ts";

/** A line of the file, as it is written there: all text. */
export interface InvoiceLine {
  InvoiceNo: string;
  StockCode: string;
  Description: string;
  Quantity: string;
  InvoiceDate: string;
  UnitPrice: string;
  CustomerID: string;
  Country: string;
}

/** A line with its place in the file; the header is line 1. */
export interface NumberedLine {
  number: number;
  line: InvoiceLine;
}

export type ProductState = {
  stock_code: string;
  description: string;
  unit_price: string;
  /** As the file writes times. */
  valid_from: string;
};

/** Where the drift begins: lines before it are the history, those from it on the replay. */
export const DRIFT_FROM: Instant = "2011-05-02T00:00:00.000Z";

export const USER_EVENTS = "user_events";
export const PRODUCTS = "products";

const EXTRACT = new URL("data/invoice_lines.csv.gz", import.meta.url);

/** The lines of the extract in their order, which is that of their times. */
export async function* readInvoiceLines(): AsyncGenerator<NumberedLine> {
  const parser = parse({ columns: true });
  // What goes wrong in a stream before the parser ends the parser with that error, which the loop throws.
  pipeline(createReadStream(EXTRACT), createGunzip(), parser, () => {});
  let number = 1;
  for await (const line of parser) yield { number: ++number, line };
}

/** When the invoice was written. The file writes `2010-12-01 08:34:00`, in UTC. */
export const timeOf = ({ InvoiceDate }: InvoiceLine): Instant => `${InvoiceDate.replace(" ", "T")}.000Z`;

/** The customer's number; `undefined` where the line has none. The file writes `17850.0` for 17850. */
export function customerOf({ CustomerID }: InvoiceLine): number | undefined {
  return CustomerID === "" ? undefined : Number(CustomerID);
}

export const isPriced = ({ UnitPrice }: InvoiceLine): boolean => Number(UnitPrice) > 0;

const isCancelled = ({ InvoiceNo }: InvoiceLine): boolean => InvoiceNo.startsWith("C");

/** Whether the line is part of an order that counts: a customer bought something at a price. */
export function isOrder(line: InvoiceLine): boolean {
  return customerOf(line) !== undefined && isPriced(line) && !isCancelled(line) && Number(line.Quantity) > 0;
}

/**
 * The drift: from an instant on, each line is billed on an invoice of its own, `561284-1`, `561284-2`, ...
 *
 * @returns a function that changes the lines it is given, in the order of the file
 */
export function billEachLine(from: Instant): (line: InvoiceLine) => InvoiceLine {
  const linesSeen = new Map<string, number>();
  return (line) => {
    if (timeOf(line) < from) return line;
    const position = (linesSeen.get(line.InvoiceNo) ?? 0) + 1;
    linesSeen.set(line.InvoiceNo, position);
    return { ...line, InvoiceNo: `${line.InvoiceNo}-${position}` };
  };
}

/**
 * Finds the products in invoice lines: a state for each time that a stock code is sold under a description other
 * than its last one. Lines without a customer or a price are corrections, not sales, and codes such as `POST` are
 * no products.
 *
 * @returns a function that is given the lines in the order of the file
 */
export function followProducts(): (line: InvoiceLine) => ProductState | undefined {
  const descriptions = new Map<string, string>();
  return (line) => {
    const code = line.StockCode.trim().toUpperCase();
    const description = line.Description.trim();
    const isSale = customerOf(line) !== undefined && isPriced(line);
    if (!isSale || description === "" || !/^\d{5}[A-Z]*$/.test(code)) return undefined;
    if (descriptions.get(code) === description) return undefined;
    descriptions.set(code, description);
    return {
      stock_code: code,
      description,
      unit_price: line.UnitPrice,
      valid_from: line.InvoiceDate,
    };
  };
}

export interface LoadOptions {
  /** The first time, and the first that is too late. Default: all. */
  from?: Instant;
  until?: Instant;
  /** Lines left out are left out of the products too. Default: all lines stay. */
  keep?: (line: InvoiceLine) => boolean;
  /** Each line is billed on an invoice of its own from here on. Default: none is. */
  billEachLineFrom?: Instant;
  /** Default: {@link USER_EVENTS}. */
  eventSource?: string;
}

/** A message to be published, and what is in it. */
export interface LoadedMessage {
  message: Outgoing;
  source: string;
  records: number;
  /** The lines behind the records, of user events only. */
  lines: readonly NumberedLine[];
}

/** The extract as messages of up to 1,000 CloudEvents each. The id of an event is `line-<number>`. */
export async function* loadMessages(options: LoadOptions = {}): AsyncGenerator<LoadedMessage> {
  const { from = "", until = "9", keep = () => true, billEachLineFrom, eventSource = USER_EVENTS } = options;
  const bill = billEachLineFrom === undefined ? (line: InvoiceLine) => line : billEachLine(billEachLineFrom);
  const productOf = followProducts();
  let lines: NumberedLine[] = [];
  let products: { number: number; product: ProductState }[] = [];

  for await (const { number, line: original } of readInvoiceLines()) {
    const time = timeOf(original);
    if (time >= until) break;
    if (!keep(original)) continue;
    // Before `from` too: what a line is changed to, and which product is new, depends on the lines before.
    const line = bill(original);
    const product = productOf(line);
    if (time < from) continue;
    lines.push({ number, line });
    if (product) products.push({ number, product });
    if (lines.length === MAX_BATCH_EVENTS) {
      yield eventMessage(eventSource, lines);
      lines = [];
    }
    if (products.length === MAX_BATCH_EVENTS) {
      yield productMessage(products);
      products = [];
    }
  }
  if (lines.length > 0) yield eventMessage(eventSource, lines);
  if (products.length > 0) yield productMessage(products);
}

function eventMessage(source: string, lines: readonly NumberedLine[]): LoadedMessage {
  const events = lines.map(({ number, line }) => ({
    specversion: "1.0",
    id: `line-${number}`,
    source: "/till",
    type: "shop.invoice-line.v1",
    data: line,
  }));
  return { message: toBatch(source, events), source, records: lines.length, lines };
}

function productMessage(products: readonly { number: number; product: ProductState }[]): LoadedMessage {
  const events = products.map(({ number, product }) => ({
    specversion: "1.0",
    id: `line-${number}`,
    source: "/catalogue",
    type: "shop.product.v1",
    data: product,
  }));
  return { message: toBatch(PRODUCTS, events), source: PRODUCTS, records: products.length, lines: [] };
}

function toBatch(source: string, events: readonly { id: string }[]): Outgoing {
  return {
    subject: subject.events(source),
    data: new TextEncoder().encode(JSON.stringify(events)),
    headers: { [HEADER.contentType]: CLOUDEVENTS_BATCH_TYPE },
    messageId: `${source}:${events[0]?.id}..${events.at(-1)?.id}`,
  };
}
