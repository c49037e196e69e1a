/** Requests of the contract -> use cases. @module */
import * as contract from "shared/contracts/data_ingestion.ts";
import {
  bind,
  type BoundEndpoint,
  type CallContext,
  type ReplyOf,
  type RequestOf,
} from "shared/contracts/endpoint.ts";
import { HEADER } from "shared/contracts/envelope.ts";
import * as replay from "shared/contracts/replay.ts";
import type { Replays } from "./replays.ts";
import type { StoreRequest } from "./store.ts";

export interface EndpointsDeps {
  ledgerPage(request: RequestOf<typeof contract.ledger>): Promise<ReplyOf<typeof contract.ledger>>;
  stateOf(request: RequestOf<typeof contract.entityState>): Promise<ReplyOf<typeof contract.entityState>>;
  rejectedPage(request: RequestOf<typeof contract.rejected>): Promise<ReplyOf<typeof contract.rejected>>;
  redriveRejected(
    request: RequestOf<typeof contract.redriveRejected>,
    context: CallContext,
  ): Promise<ReplyOf<typeof contract.redriveRejected>>;
  store(request: StoreRequest): Promise<{ id: string; status: "stored" | "duplicate" }>;
  newestEvents(
    request: RequestOf<typeof contract.storedEvents>,
  ): Promise<ReplyOf<typeof contract.storedEvents>>;
  replays: Replays;
  beginUpload(
    request: RequestOf<typeof contract.startUpload>,
    context: CallContext,
  ): Promise<contract.Upload>;
  findUpload(upload: string): Promise<contract.Upload>;
}

const encoder = new TextEncoder();

export function createEndpoints(deps: EndpointsDeps): BoundEndpoint[] {
  const { ledgerPage, rejectedPage, store, newestEvents, replays } = deps;
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
    bind(contract.ledger, ledgerPage),
    bind(contract.entityState, deps.stateOf),
    bind(contract.rejected, rejectedPage),
    bind(contract.redriveRejected, deps.redriveRejected),
    bind(contract.startUpload, deps.beginUpload),
    bind(contract.getUpload, ({ upload }) => deps.findUpload(upload)),
    bind(contract.storedEvents, newestEvents),
    bind(replay.startReplay, replays.start),
    bind(replay.listReplays, async (request) => ({ replays: await replays.list(request) })),
    bind(replay.getReplay, ({ run }) => replays.find(run)),
    bind(replay.cancelReplay, ({ run }, context) => replays.cancel(run, context)),
  ];
}
