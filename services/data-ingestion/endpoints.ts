/** Requests of the contract -> use cases. @module */
import * as contract from "shared/contracts/data_ingestion.ts";
import { bind, type BoundEndpoint, type ReplyOf, type RequestOf } from "shared/contracts/endpoint.ts";
import { HEADER } from "shared/contracts/envelope.ts";
import type { StoreRequest } from "./store.ts";

export interface EndpointsDeps {
  ledgerRows(): Promise<contract.LedgerRow[]>;
  rejectedPage(request: RequestOf<typeof contract.rejected>): Promise<ReplyOf<typeof contract.rejected>>;
  store(request: StoreRequest): Promise<{ id: string; status: "stored" | "duplicate" }>;
}

const encoder = new TextEncoder();

export function createEndpoints({ ledgerRows, rejectedPage, store }: EndpointsDeps): BoundEndpoint[] {
  return [
    bind(contract.storeEvent, ({ source, event }, { idempotencyKey, actor, traceparent }) =>
      store({
        source,
        data: encoder.encode(JSON.stringify(event)),
        headers: {
          ...(actor === "anonymous" ? {} : { [HEADER.actor]: actor }),
          ...(traceparent === undefined ? {} : { [HEADER.traceparent]: traceparent }),
        },
        idempotencyKey,
      })),
    bind(contract.ledger, async ({ source }) => {
      const rows = await ledgerRows();
      return { sources: source === undefined ? rows : rows.filter((row) => row.source === source) };
    }),
    bind(contract.rejected, rejectedPage),
  ];
}
