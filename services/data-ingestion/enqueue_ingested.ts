import type { Outgoing } from "shared/bus/message.ts";
import type { Transaction } from "shared/db/connection.ts";
import { enqueue, refuseLongOutbox } from "shared/db/outbox.ts";

/**
 * Puts what was stored into the outbox, for INGESTED.
 *
 * @throws {AppError} `unavailable` while the outbox is long: INGESTED takes nothing
 */
export async function enqueueIngested(tx: Transaction, messages: readonly Outgoing[]): Promise<void> {
  if (messages.length > 0) await refuseLongOutbox(tx, "store events");
  await enqueue(tx, messages);
}
