/** The use case of storing one event while its sender waits. @module */
import { HEADER } from "shared/contracts/envelope.ts";
import { toInstant } from "shared/contracts/time.ts";
import { invalidInput } from "shared/validation.ts";
import type { Delivery, Ingested } from "./ingest.ts";

export interface StoreDeps {
  /** With an outbox: nobody delivers the request a second time if this process dies after the commit. */
  ingest(messages: readonly Delivery[]): Promise<Ingested>;
}

export interface StoreRequest {
  source: string;
  data: Uint8Array;
  headers?: Readonly<Record<string, string>>;
  /** Stands in for the id of an event that has none of its own, so that a repeated request stores it once. */
  idempotencyKey: string | undefined;
}

/**
 * Stores one event.
 *
 * @throws {AppError} `invalid` with every reason; the ledger has the record then, as any other that is rejected
 */
export async function storeEvent(
  { ingest }: StoreDeps,
  { source, data, headers = {}, idempotencyKey }: StoreRequest,
): Promise<{ id: string; status: "stored" | "duplicate" }> {
  const { accepted, repeated, refused } = await ingest([{
    source,
    data,
    headers: idempotencyKey === undefined ? headers : { ...headers, [HEADER.messageId]: idempotencyKey },
    arrivedAt: toInstant(Date.now()),
    origin: { request: crypto.randomUUID() },
  }]);
  const [refusal] = refused;
  if (refusal) throw invalidInput(`store the event of "${source}"`, refusal.reasons);
  const [stored] = accepted;
  if (stored) return { id: stored.id, status: "stored" };
  return { id: repeated[0]!.id, status: "duplicate" };
}
