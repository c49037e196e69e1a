/**
 * Cuts the extract that the online-retail example works on out of the UCI Online Retail data:
 *
 *     deno run --allow-read --allow-write scripts/extract_online_retail.ts SOURCE.csv.gz [OUTPUT.csv.gz]
 *
 * Kept are all lines of the chosen customers, and all lines without a customer of the chosen days. A kept line
 * keeps its bytes, and the lines their order. The same source gives the same text, and on one Deno version the
 * same file.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { parse } from "csv-parse/sync";

/** Of 100 hash buckets of customers, the first so many are kept. */
export const KEPT_BUCKETS = 42;

/** Lines without a customer are kept on these days of every month. */
export const ANONYMOUS_DAYS: readonly string[] = ["05", "12", "19", "26"];

const OUTPUT = new URL("../examples/online-retail/data/invoice_lines.csv.gz", import.meta.url);

/** What was cut: counts without the header line, and the SHA-256 (hex) of the uncompressed text. */
export interface ExtractSummary {
  lines: number;
  anonymousLines: number;
  customers: number;
  cancelledLines: number;
  textSha256: string;
}

/** Whether the customer, as the source writes it (`17850.0`), belongs to the extract. */
export function keepsCustomer(customerId: string): boolean {
  const hash = createHash("sha256").update(customerId).digest();
  return hash.readUInt32BE(0) % 100 < KEPT_BUCKETS;
}

/** Whether lines without a customer are kept at an instant such as `2010-12-05 08:26:00`. */
export function keepsAnonymousDay(invoiceDate: string): boolean {
  return ANONYMOUS_DAYS.includes(invoiceDate.slice(8, 10));
}

/**
 * Cuts the extract out of the source's gzip bytes.
 *
 * @returns the extract as gzip bytes, without a time stamp in them, and its counts
 * @throws Error when the source is not a CSV file with the columns of Online Retail
 */
export function extractOnlineRetail(source: Uint8Array): { gzip: Uint8Array; summary: ExtractSummary } {
  const text = gunzipSync(source).toString("utf8");
  const lines = text.split("\r\n");
  const records: Record<string, string>[] = parse(text, { columns: true });
  const bodyLines = lines.length - 2; // without the header and the empty end
  if (records.length !== bodyLines) {
    throw new Error(
      "Cannot extract Online Retail: every record must be one line that ends in CR LF, " +
        `found ${records.length} records on ${bodyLines} lines`,
    );
  }
  const kept = [lines[0]];
  const customers = new Set<string>();
  let anonymousLines = 0;
  let cancelledLines = 0;
  for (const [index, record] of records.entries()) {
    const { InvoiceNo, InvoiceDate, CustomerID } = record;
    if (InvoiceNo === undefined || InvoiceDate === undefined || CustomerID === undefined) {
      throw new Error(
        "Cannot extract Online Retail: the columns InvoiceNo, InvoiceDate and CustomerID are required, " +
          `found ${Object.keys(record).join(", ")}`,
      );
    }
    const isAnonymous = CustomerID === "";
    if (!(isAnonymous ? keepsAnonymousDay(InvoiceDate) : keepsCustomer(CustomerID))) continue;
    kept.push(lines[index + 1]);
    if (isAnonymous) anonymousLines++;
    else customers.add(CustomerID);
    if (InvoiceNo.startsWith("C")) cancelledLines++;
  }
  const extract = `${kept.join("\r\n")}\r\n`;
  return {
    gzip: compress(extract),
    summary: {
      lines: kept.length - 1,
      anonymousLines,
      customers: customers.size,
      cancelledLines,
      textSha256: createHash("sha256").update(extract).digest("hex"),
    },
  };
}

/** gzip names the system it ran on in byte 9: 255, "unknown", keeps the file equal across systems. */
function compress(text: string): Uint8Array {
  const gzip = gzipSync(text, { level: 9 });
  gzip[9] = 255;
  return gzip;
}

if (import.meta.main) {
  const [source, output] = Deno.args;
  if (source === undefined) {
    throw new Error("Cannot extract Online Retail: the first argument must be the source's path, found none");
  }
  const { gzip, summary } = extractOnlineRetail(await Deno.readFile(source));
  await Deno.writeFile(output ?? OUTPUT, gzip);
  await Deno.stdout.write(
    new TextEncoder().encode(`${JSON.stringify({ ...summary, bytes: gzip.length })}\n`),
  );
}
