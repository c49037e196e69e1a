/** What of one model waits for NATS: first in, first out, within a bound, with every loss counted. @module */
import { MAX_BATCH_BYTES } from "shared/contracts/envelope.ts";
import type { LogPolicy } from "shared/contracts/model_serving.ts";
import { Block, type LogOrigin, type RowRange } from "./block.ts";
import { JsonBytes } from "./json_bytes.ts";
import { isAnswer, type LoggedCall } from "./logged_call.ts";

/** A block on its way. */
export interface TakenBlock {
  sequence: number;
  records: number;
  /** Written to again once the block is settled. */
  bytes: JsonBytes;
}

export interface LogQueue {
  /** Records made so far: the sequence of the next one. */
  readonly head: number;
  readonly waiting: number;
  readonly dropped: number;
  /** Whether so many more would have to drop something; what is larger than the bound may wait alone. */
  isFull(more: number): boolean;
  push(call: LoggedCall): void;
  /** Takes the oldest out; their records count as waiting until `settle`. */
  take(blocks: number): TakenBlock[];
  /** What was taken is in the stream, or is given up: then who sends it may have it still. */
  settle(block: TakenBlock, options: { sent: boolean }): void;
}

/** Buffers that were written to before, for the blocks of all models. */
export type BufferPool = JsonBytes[];

/** As many as are on their way at a time, and one to be written to. */
const MAX_POOLED = 9;

export interface LogQueueOptions {
  origin: LogOrigin;
  policy: () => Pick<LogPolicy, "buffer" | "whenFull" | "sample">;
  pool: BufferPool;
}

export function createLogQueue({ origin, policy, pool }: LogQueueOptions): LogQueue {
  /** In the order of their first records; those that are open may get more. */
  let blocks: Block[] = [];
  let open: Block[] = [];
  let head = 0;
  /** Records in the blocks, and in those that were taken. */
  let inBlocks = 0;
  let taken = 0;
  let dropped = 0;

  function write(call: LoggedCall, rows: RowRange, sequence: number): void {
    const { sample } = policy();
    const known = open.find((block) => block.takes(call, sample));
    if (known?.add(call, rows, sequence)) return;
    if (known !== undefined) open = open.filter((block) => block !== known);
    const block = new Block(call, { ...origin, sequence, sample }, pool.pop() ?? new JsonBytes());
    if (block.add(call, rows, sequence)) {
      blocks.push(block);
      open.push(block);
      return;
    }
    // More than a message holds: as two.
    recycle(block.take());
    const middle = (rows.from + rows.to) >> 1;
    write(call, { from: rows.from, to: middle }, sequence);
    write(call, { from: middle, to: rows.to }, sequence + middle - rows.from);
  }

  function recycle(bytes: JsonBytes): void {
    if (pool.length >= MAX_POOLED || bytes.capacity > MAX_BATCH_BYTES) return;
    bytes.truncate(0);
    pool.push(bytes);
  }

  /** Makes room by dropping the calls that wait longest; what is on its way can't be dropped any more. */
  function dropOldest(records: number): void {
    let left = records;
    while (left > 0 && blocks.length > 0) {
      const [oldest] = blocks;
      const count = oldest!.dropFirst();
      left -= count;
      inBlocks -= count;
      dropped += count;
      if (oldest!.records > 0) continue;
      recycle(blocks.shift()!.take());
      open = open.filter((block) => block !== oldest);
    }
  }

  return {
    get head() {
      return head;
    },
    get waiting() {
      return inBlocks + taken;
    },
    get dropped() {
      return dropped;
    },
    isFull(more) {
      const waiting = inBlocks + taken;
      return waiting > 0 && waiting + more > policy().buffer;
    },
    push(call) {
      const count = call.ids.length;
      const sequence = head;
      head += count;
      const { buffer, whenFull } = policy();
      const excess = inBlocks + taken + count - buffer;
      const rows = { from: 0, to: count };
      // Where calls are refused, what was answered is never lost for what comes later, least of all for the refusals: the
      // answers of calls that were let in before go beyond the bound.
      if (excess > 0 && !(whenFull === "refuse" && isAnswer(call))) {
        if (whenFull === "drop_oldest") dropOldest(excess);
        const beyond = Math.min(count, Math.max(0, inBlocks + taken + count - buffer));
        dropped += beyond;
        if (whenFull === "drop_oldest") rows.from += beyond;
        else rows.to -= beyond;
        if (rows.from === rows.to) return;
      }
      write(call, rows, sequence + rows.from);
      inBlocks += rows.to - rows.from;
    },
    take(most) {
      const batch = blocks.slice(0, most);
      blocks = blocks.slice(most);
      open = open.filter((block) => !batch.includes(block));
      return batch.map((block) => {
        const { sequence, records } = block;
        inBlocks -= records;
        taken += records;
        return { sequence, records, bytes: block.take() };
      });
    },
    settle({ records, bytes }, { sent }) {
      taken -= records;
      if (sent) recycle(bytes);
    },
  };
}
