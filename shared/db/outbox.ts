/**
 * The outbox: messages written in the transaction of the change they tell of, and published after it. So a message
 * goes out if, and only if, its change was made, whatever dies in between.
 *
 * Messages go out in the order of their ids. A transaction takes its ids before it commits, so those of one thing
 * keep their order when its changes take turns: lock it before {@link enqueue}. What dies between the
 * acknowledgement and the deletion is published again, under the same message id.
 *
 * @module
 */
import type { Bus } from "../bus/connection.ts";
import { type Outgoing, publishAll } from "../bus/publisher.ts";
import { delay } from "../delay.ts";
import { tooLarge, unavailable } from "../errors.ts";
import type { Part } from "../lifecycle.ts";
import type { Logger } from "../log.ts";
import { createPeriodicPart } from "../periodic_part.ts";
import { type Database, type Transaction, transaction } from "./connection.ts";

/** PostgreSQL takes 65,535 parameters a statement, and a message has four. */
const MAX_ROWS_A_STATEMENT = 1_000;

/** NATS takes 1 MiB a message unless told otherwise, headers included: what it refuses would stand here for ever. */
const MAX_PAYLOAD_BYTES = 1024 * 1024 - 16 * 1024;

/**
 * Writes the messages into the outbox, to be published once the transaction is committed. Then poke the relay.
 *
 * @throws {AppError} `too_large` when a message has more than 1,008 KiB
 */
export async function enqueue(tx: Transaction, messages: readonly Outgoing[]): Promise<void> {
  for (const { subject, data } of messages) {
    if (data.length > MAX_PAYLOAD_BYTES) {
      throw tooLarge(
        `Cannot publish to ${subject}: the message has ${data.length} bytes, and at most ${MAX_PAYLOAD_BYTES} fit`,
      );
    }
  }
  for (let start = 0; start < messages.length; start += MAX_ROWS_A_STATEMENT) {
    const rows = messages.slice(start, start + MAX_ROWS_A_STATEMENT).map((message) => ({
      subject: message.subject,
      headers: tx.json(message.headers ?? {}),
      payload: message.data,
      message_id: message.messageId,
    }));
    await tx`insert into outbox ${tx(rows)}`;
  }
}

/** Of up to a mebibyte each. */
const MAX_WAITING = 1_000;
const LONG_OUTBOX_RETRY_S = 2;

/**
 * Call it before messages are enqueued for somebody who can come back later: the outbox must not grow for as long as
 * nobody takes its messages.
 *
 * @param action what can't be done then, such as `hand on clean records`
 * @throws {AppError} `unavailable` while more than 1,000 messages wait
 */
export async function refuseLongOutbox(tx: Transaction, action: string): Promise<void> {
  const beyond = await tx`select from outbox order by id offset ${MAX_WAITING} limit 1`;
  if (beyond.length === 0) return;
  throw unavailable(`Cannot ${action}: more than ${MAX_WAITING} messages wait in the outbox`, {
    retryAfter: LONG_OUTBOX_RETRY_S,
  });
}

export interface Outbox extends Part {
  /** Relays at once; call it after a commit. Without it the messages wait for the next look, at most a second. */
  poke(): void;
}

/** How often it looks without being poked. */
const POLL_MS = 1_000;
/** Another copy is relaying: when to look whether it took all. */
const BUSY_MS = 50;
/** Short, because a transaction is open meanwhile; the messages stay. */
const PUBLISH_TIMEOUT_MS = 5_000;
const BATCH_ROWS = 500;
const BATCH_BYTES = 8 * 1024 * 1024;
/** Of the advisory lock that a relaying copy holds. */
const RELAY_LOCK = 0x6f75_7462;

type Outcome = "done" | "busy";

/**
 * The relay of a service: publishes what stands in the outbox, one copy of the service at a time. When something
 * fails, it tries again after a growing delay, for ever: nothing is left out or passed over.
 */
export function createOutbox(db: Database, bus: Bus, log: Logger): Outbox {
  return createPeriodicPart({
    name: "outbox",
    action: "relay the outbox",
    everyMs: POLL_MS,
    log,
    async work(signal) {
      while (await relayAll(signal) === "busy") await delay(BUSY_MS, signal);
    },
  });

  async function relayAll(signal: AbortSignal): Promise<Outcome> {
    for (;;) {
      const waiting = await db`select from outbox limit 1`;
      if (waiting.length === 0 || signal.aborted) return "done";
      if (await transaction(db, (tx) => relayBatch(tx, signal)) === "busy") return "busy";
    }
  }

  /**
   * The lock must be held while publishing, hence the publishing inside of a transaction. It locks nothing else:
   * writers of the outbox never wait for it.
   */
  async function relayBatch(tx: Transaction, signal: AbortSignal): Promise<Outcome> {
    const [lock] = await tx<{ taken: boolean }[]>`select pg_try_advisory_xact_lock(${RELAY_LOCK}) as taken`;
    if (!lock?.taken) return "busy";
    const batch = await nextBatch(tx);
    await publishAll(bus, batch, { timeoutMs: PUBLISH_TIMEOUT_MS, signal });
    bus.crashPoint?.("published");
    await tx`delete from outbox where id = any(${batch.map(({ id }) => id)})`;
    return "done";
  }
}

/** The oldest messages: a bounded number, of bounded size unless one alone is larger. */
async function nextBatch(tx: Transaction): Promise<(Outgoing & { id: number })[]> {
  return await tx<(Outgoing & { id: number })[]>`
    select id, subject, headers, payload as data, message_id as "messageId"
    from (
      select *, sum(octet_length(payload)) over (order by id) - octet_length(payload) as bytes_before
      from (select * from outbox order by id limit ${BATCH_ROWS}) as oldest
    ) as counted
    where bytes_before < ${BATCH_BYTES}
    order by id`;
}
