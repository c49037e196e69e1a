/**
 * The demo's own count of what it publishes, to compare the platform's counts with.
 *
 * @module
 */
import {
  customerOf,
  isOrder,
  isPriced,
  type LoadedMessage,
  timeOf,
} from "../../examples/online-retail/load.ts";
import type { Instant } from "shared/contracts/time.ts";

/** What a source must come to. */
export interface SourceTally {
  published: number;
  rejected: number;
  duplicates: number;
  /** Records that the cleaning leaves out. */
  filtered: number;
  /** Whether a view reads it. */
  isUsed: boolean;
}

const DAY_MS = 86_400_000;

export class Published {
  readonly #sources = new Map<string, SourceTally>();
  /** When each customer last ordered. */
  readonly #lastOrders = new Map<number, Instant>();

  get sources(): ReadonlyMap<string, SourceTally> {
    return this.#sources;
  }

  addLoaded({ source, records, lines }: LoadedMessage): void {
    const filtered = lines.filter(({ line }) => customerOf(line) === undefined || !isPriced(line)).length;
    this.add(source, { published: records, filtered, isUsed: lines.length > 0 });
    for (const { line } of lines) {
      if (isOrder(line)) this.#lastOrders.set(customerOf(line)!, timeOf(line));
    }
  }

  /** Adds to a source's numbers. */
  add(source: string, more: Partial<SourceTally>): void {
    const { published, rejected, duplicates, filtered, isUsed } = this.#sources.get(source) ??
      { published: 0, rejected: 0, duplicates: 0, filtered: 0, isUsed: false };
    this.#sources.set(source, {
      published: published + (more.published ?? 0),
      rejected: rejected + (more.rejected ?? 0),
      duplicates: duplicates + (more.duplicates ?? 0),
      filtered: filtered + (more.filtered ?? 0),
      isUsed: isUsed || (more.isUsed ?? false),
    });
  }

  /** Customers with an order in the days before an instant, at which nothing later was published yet. */
  activeCustomers(at: Instant, { days = 60 } = {}): number[] {
    const since = Date.parse(at) - days * DAY_MS;
    return [...this.#lastOrders].filter(([, last]) => Date.parse(last) > since).map(([customer]) => customer)
      .sort((a, b) => a - b);
  }
}
