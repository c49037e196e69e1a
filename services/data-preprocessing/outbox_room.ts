import type { Transaction } from "shared/db/connection.ts";
import { refuseLongOutbox as refuseLong } from "shared/db/outbox.ts";

/**
 * Call it before clean records are put into the outbox.
 *
 * @throws {AppError} `unavailable` while too many messages wait there
 */
export async function refuseLongOutbox(tx: Transaction): Promise<void> {
  await refuseLong(tx, "hand on clean records");
}
