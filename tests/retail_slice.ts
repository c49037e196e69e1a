/** Part of the online-retail example, for journeys that need not be long. @module */
import retail from "../examples/online-retail/project.ts";
import {
  customerOf,
  DRIFT_FROM,
  type InvoiceLine,
  type LoadedMessage,
  loadMessages,
  readInvoiceLines,
} from "../examples/online-retail/load.ts";
import { ONE_CUSTOMER } from "../examples/online-retail/expected.ts";
import { defineProject, type Project } from "microml";

/** The example with what few rows can satisfy. */
export function sliceProject(): Project {
  const { reorder } = retail.models;
  return defineProject({
    ...retail,
    models: {
      reorder: {
        ...reorder!,
        parameters: { ...reorder!.parameters, rounds: 30, minRowsPerLeaf: 20 },
        gate: { minRelativeGain: 0.05, minBaselineGain: 0.02, minRows: 50 },
      },
    },
  });
}

/** So many customers, in the order in which they first come, the one whose features are known among them. */
export async function chooseCustomers(count: number): Promise<ReadonlySet<number>> {
  const chosen = new Set<number>([ONE_CUSTOMER.customer]);
  for await (const { line } of readInvoiceLines()) {
    const customer = customerOf(line);
    if (customer !== undefined) chosen.add(customer);
    if (chosen.size === count) break;
  }
  return chosen;
}

/** The history of these customers, and of nobody else. */
export function historyOf(
  customers: ReadonlySet<number>,
  options: { eventSource?: string } = {},
): Promise<LoadedMessage[]> {
  const keep = (line: InvoiceLine) => {
    const customer = customerOf(line);
    return customer !== undefined && customers.has(customer);
  };
  return Array.fromAsync(loadMessages({ until: DRIFT_FROM, keep, ...options }));
}

/** Records of a source in these messages. */
export const recordsOf = (messages: readonly LoadedMessage[], source: string): number =>
  messages.filter((message) => message.source === source).reduce((sum, { records }) => sum + records, 0);
