/** Which messages of EVENTS may have been dealt with before. @module */
import type { Instant } from "shared/contracts/time.ts";
import { STREAM } from "shared/contracts/streams.ts";
import type { Bus } from "shared/bus/connection.ts";
import type { Database } from "shared/db/connection.ts";
import { noteDurable } from "./repository/handled_messages.ts";
import type { Received } from "./domain/received.ts";

type Message = Pick<Received, "origin"> & { redelivered?: boolean };

/**
 * To look every message up in the database would cost much, so only those are that may stand there: what the stream
 * calls redelivered; what this process has handled, but whose outcome could not be published or acknowledged; and what
 * a durable that was made anew brings once more without calling it redelivered.
 */
export class HandledMessages {
  #last = 0;
  #durable: Instant | undefined;

  mayHold({ origin, redelivered }: Message): boolean {
    return redelivered === true || ("sequence" in origin && origin.sequence <= this.#last);
  }

  /** These are in the database now. */
  add(messages: readonly Message[]): void {
    for (const { origin } of messages) {
      if ("sequence" in origin) this.#last = Math.max(this.#last, origin.sequence);
    }
  }

  /** Before anything is fetched from a durable that was made at that time, by this service's copies or for them. */
  async open(createdAt: Instant, { db, bus }: { db: Database; bus: Bus }): Promise<void> {
    const { state } = await bus.jsm.streams.info(STREAM.events.name);
    const last = await noteDurable(db, { createdAt, lastSequence: state.last_seq });
    this.#last = createdAt === this.#durable ? Math.max(last, this.#last) : last;
    this.#durable = createdAt;
  }
}
