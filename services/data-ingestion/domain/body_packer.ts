import { MAX_BATCH_BYTES, MAX_BATCH_EVENTS } from "shared/contracts/envelope.ts";

/** What is published as one message: with its headers it must fit into one of NATS'. */
export const MAX_MESSAGE_BYTES = 900_000;

const encoder = new TextEncoder();
const COMMA = 44;

/** Packs records, which are JSON text already, into the bodies of messages. */
export class BodyPacker {
  readonly #head: Uint8Array;
  readonly #tail: Uint8Array;
  #records: Uint8Array[] = [];
  #bytes = 0;

  /** @param tail what closes the array that `head` opens */
  constructor(head: string, tail: string) {
    this.#head = encoder.encode(head);
    this.#tail = encoder.encode(tail);
  }

  /** Records in the body that is being packed. */
  get records(): number {
    return this.#records.length;
  }

  /** Whether one more of this size goes in. A record that is larger than a batch has a body of its own. */
  hasRoom(bytes: number): boolean {
    if (this.#records.length === 0) return true;
    return this.#records.length < MAX_BATCH_EVENTS && this.#bytes + bytes < MAX_BATCH_BYTES;
  }

  add(record: Uint8Array): void {
    this.#records.push(record);
    this.#bytes += record.length + 1;
  }

  /** The body with what was added, and an empty one begun. */
  close(): Uint8Array {
    const body = new Uint8Array(this.#head.length + this.#bytes - 1 + this.#tail.length);
    body.set(this.#head);
    let offset = this.#head.length;
    for (const [index, record] of this.#records.entries()) {
      if (index > 0) body[offset++] = COMMA;
      body.set(record, offset);
      offset += record.length;
    }
    body.set(this.#tail, offset);
    this.#records = [];
    this.#bytes = 0;
    return body;
  }
}
