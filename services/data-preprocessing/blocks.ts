/** Blocked sources: what holds them, what is held of them, and who may release them. @module */
import { encodeBatches } from "shared/bus/batch.ts";
import { bucketPut, bucketRemove } from "shared/bus/bucket.ts";
import type { Outgoing } from "shared/bus/message.ts";
import {
  type Block,
  type listBlocks as listBlocksEndpoint,
  releaseBlock,
} from "shared/contracts/data_preprocessing.ts";
import type { CallContext, ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import { EVENT_TYPE } from "shared/contracts/envelope.ts";
import type { Signal } from "shared/contracts/signal.ts";
import { BUCKET, subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import { type Database, type Transaction, transaction } from "shared/db/connection.ts";
import { once } from "shared/db/idempotency.ts";
import { enqueue } from "shared/db/outbox.ts";
import { unavailable } from "shared/errors.ts";
import type { ArrivedRecord } from "./clean_records.ts";
import type { VersionedCleaning } from "./cleanings.ts";
import { type Counts, dayOf } from "./domain/counts.ts";
import {
  deleteBlock,
  type HeldBatch,
  insertHeld,
  listBlocks,
  markReleased,
  type NewBlock,
  upsertBlock,
} from "./repository/blocks.ts";
import { listConcerns } from "./repository/concerns.ts";

const SIGNAL_KIND = "quality";
/** Of a reason: all of a block must fit into one message. */
const MAX_REASON_LENGTH = 1_000;

/**
 * Blocks a source until it is released, and tells everybody by the bucket and, the first time, by a signal. All that
 * comes of the source from the next transaction on is held.
 */
export async function block(tx: Transaction, request: NewBlock): Promise<void> {
  const { block, isNew } = await upsertBlock(tx, { ...request, reason: clipped(request.reason) });
  await enqueue(tx, [announcement(block), ...(isNew ? signalOf(block, "breach") : [])]);
}

/** The block of a source whose cleaning can't be used: nobody else's records must wait until it can. */
export function blockOfUnusable(
  { cleaning, version, project }: VersionedCleaning,
  { source, records }: { source: string; records: readonly ArrivedRecord[] },
): NewBlock {
  const times = records.map(({ event: { time } }) => time).sort();
  const reason = `its cleaning, version ${version}, cannot be used: ${cleaning.unusable}`;
  return { source, project, since: times[0]!, reason };
}

function clipped(reason: string): string {
  return reason.length <= MAX_REASON_LENGTH
    ? reason
    : `${reason.slice(0, MAX_REASON_LENGTH - 3).toWellFormed()}...`;
}

/** Blocked sources in the order of their names, a page at a time. */
export async function blocksPage(
  db: Database,
  { limit, after = "" }: RequestOf<typeof listBlocksEndpoint>,
): Promise<ReplyOf<typeof listBlocksEndpoint>> {
  const blocks = await listBlocks(db, { after, limit: limit + 1 });
  const page = blocks.slice(0, limit);
  return { blocks: page, next: blocks.length > limit ? page.at(-1)!.source : null };
}

/** Ends a block of which nothing is held any more. All is well then, unless an expectation about windows still fails. */
export async function endBlock(tx: Transaction, block: Block): Promise<void> {
  const { source } = block;
  await deleteBlock(tx, source);
  const isWell = !(await listConcerns(tx, source)).some(({ kind }) => kind === SIGNAL_KIND);
  await enqueue(tx, [
    bucketRemove(BUCKET.blocks, source, crypto.randomUUID()),
    ...(isWell ? signalOf(block, "ok") : []),
  ]);
}

/** Puts the blocks into the bucket again: NATS may have lost them. */
export async function announceBlocks(db: Database): Promise<void> {
  await transaction(db, async (tx) => {
    await enqueue(tx, (await listBlocks(tx)).map(announcement));
  });
}

function announcement(block: Block): Outgoing {
  return bucketPut(BUCKET.blocks, block.source, block, crypto.randomUUID());
}

/** None for a source without a project: signals belong to one. */
function signalOf({ source, project, since, at, reasons }: Block, status: Signal["status"]): Outgoing[] {
  if (project === null) return [];
  const signal: Signal = {
    project,
    kind: SIGNAL_KIND,
    subjectType: "source",
    name: source,
    status,
    value: status === "breach" ? 1 : 0,
    threshold: 1,
    summary: status === "breach"
      ? `${source} is blocked since ${since}: ${reasons[0]}`
      : `${source} goes on: its block was released`,
    details: { since, reasons },
  };
  const now = toInstant(Date.now());
  return encodeBatches([{
    specversion: "1.0",
    id: `${source}/block/${at}/${status}`,
    source,
    type: EVENT_TYPE.signal,
    time: now,
    knownat: now,
    definition: 0,
    data: signal,
  }], { subject: subject.signal(signal.kind, signal.subjectType, signal.name) });
}

/**
 * Holds records of blocked sources, which the guard knows already.
 *
 * @throws {AppError} `unavailable` when more than `maxBytes` would be held of all sources together
 */
export async function hold(
  tx: Transaction,
  records: readonly ArrivedRecord[],
  { counts, maxBytes }: { counts: Counts; maxBytes: number },
): Promise<void> {
  if (records.length === 0) return;
  const batches = [...Map.groupBy(records, ({ arrival }) => arrival).values()].map(toHeldBatch);
  for (const { source, receivedAt, events } of batches) {
    counts.of({ run: "", source }, dayOf(receivedAt)).held += events.length;
  }
  const bytes = await insertHeld(tx, batches);
  if (bytes <= maxBytes) return;
  const sources = [...new Set(batches.map(({ source }) => `"${source}"`))].join(", ");
  throw unavailable(
    `Cannot hold more records of the blocked ${sources}: ${bytes} bytes would be held, and at most ${maxBytes} ` +
      `are: release what is blocked, or raise HELD_MAX_BYTES`,
  );
}

function toHeldBatch(records: ArrivedRecord[]): HeldBatch {
  const { event: { source }, arrival: { sequence, receivedAt, project, clock } } = records[0]!;
  return { source, sequence, receivedAt, project, clock, events: records.map(({ event }) => event) };
}

/** Lets what is held of a source go on; who waits for it is woken by the caller. */
export async function requestRelease(
  db: Database,
  request: RequestOf<typeof releaseBlock>,
  context: CallContext,
): Promise<ReplyOf<typeof releaseBlock>> {
  const { source, reason } = request;
  return await once(db, context, { endpoint: releaseBlock.subject, request }, async (tx) => {
    const released = await markReleased(tx, source, { actor: context.actor, reason });
    return { released: released !== undefined, held: released?.held ?? 0 };
  });
}
