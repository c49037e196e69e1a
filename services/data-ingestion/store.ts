/** The use case of storing one event while its sender waits. @module */
import { v5 as uuidv5 } from "uuid";
import { createHash } from "node:crypto";
import type { AppError } from "shared/errors.ts";
import { HEADER } from "shared/contracts/envelope.ts";
import { toInstant } from "shared/contracts/time.ts";
import { invalidInput } from "shared/validation.ts";
import { answerInTime } from "./answer_in_time.ts";
import type { Capacity } from "./capacity.ts";
import type { Delivery } from "./ingest.ts";
import type { Stored } from "./store_judgement.ts";

export interface StoreDeps {
  /** With an outbox: nobody delivers the request a second time if this process dies after the commit. */
  ingest(messages: readonly Delivery[]): Promise<Stored>;
  /** Events that are being stored. */
  capacity: Capacity;
  /** How long it may take. */
  withinMs: number;
}

export interface StoreRequest {
  source: string;
  data: Uint8Array;
  headers?: Readonly<Record<string, string>>;
  /**
   * A request that comes again with the same key is answered as the first time. The key stands in for the id of an event
   * that has none of its own.
   */
  idempotencyKey: string | undefined;
}

export interface StoredReply {
  id: string;
  status: "stored" | "duplicate";
}

/**
 * Stores one event.
 *
 * @param refuse makes the error when too many are being stored: each way in has its own
 * @throws {AppError} `invalid` with every reason; the ledger has the record then, as any other that is rejected.
 * `unavailable` when the database is away or takes too long; the event may still be stored then
 */
export async function storeEvent(
  { ingest, capacity, withinMs }: StoreDeps,
  request: StoreRequest,
  refuse: (message: string) => AppError,
): Promise<StoredReply> {
  const action = `store the event of "${request.source}"`;
  const place = capacity.take(1, () => refuse(`Cannot ${action}: too many are being stored; try again soon`));
  // What takes too long for its sender goes on, and keeps its place meanwhile.
  const storing = store(ingest, request).finally(() => place[Symbol.dispose]());
  return await answerInTime(storing, { action, withinMs });
}

async function store(
  ingest: StoreDeps["ingest"],
  { source, data, headers = {}, idempotencyKey }: StoreRequest,
): Promise<StoredReply> {
  const { accepted, again, repeated, refused } = await ingest([{
    source,
    data,
    headers: idempotencyKey === undefined ? headers : { ...headers, [HEADER.messageId]: idempotencyKey },
    arrivedAt: toInstant(Date.now()),
    origin: { request: requestOf(source, data, idempotencyKey) },
  }]);
  const [refusal] = refused;
  if (refusal) throw invalidInput(`store the event of "${source}"`, refusal.reasons);
  // The same request once more is answered as the first time.
  const [stored] = [...accepted, ...again];
  if (stored) return { id: stored.id, status: "stored" };
  return { id: repeated[0]!.id, status: "duplicate" };
}

/** Of names that are made of a source, an idempotency key and what was sent. */
const REQUEST_NAMESPACE = "b3a5ab9e-6a0f-4d0c-9d0e-5f2a7f0e6c11";

/**
 * What names a request, so that it is known when it comes again. Another body under the same key is another request:
 * taken for the same, it would be nowhere.
 */
function requestOf(source: string, data: Uint8Array, idempotencyKey: string | undefined): string {
  if (idempotencyKey === undefined) return crypto.randomUUID();
  const digest = createHash("sha256").update(data).digest("base64url");
  return uuidv5(JSON.stringify([source, idempotencyKey, digest]), REQUEST_NAMESPACE);
}
