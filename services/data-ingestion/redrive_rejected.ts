/** The use case of taking rejected records in again. @module */
import { redriveRejected as contract } from "shared/contracts/data_ingestion.ts";
import type { CallContext, ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import type { Transaction } from "shared/db/connection.ts";
import { once } from "shared/db/idempotency.ts";
import type { Outbox } from "shared/db/outbox.ts";
import { judgeAgain, type JudgedAgain } from "./domain/judge_again.ts";
import type { KeptRecord } from "./domain/read_again.ts";
import { type IngestDeps, readCircumstances } from "./circumstances.ts";
import { enqueueIngested } from "./enqueue_ingested.ts";
import { addToLedger, countByDay, type DayCounts, type LedgerEntry } from "./repository/ledger.ts";
import {
  deleteRejected,
  insertRefused,
  isMoreRejected,
  lockRejected,
  readRejected,
  updateRejected,
} from "./repository/rejected.ts";
import { type Stored, storeJudgement } from "./store_judgement.ts";

export interface RedriveDeps {
  ingest: IngestDeps;
  outbox: Pick<Outbox, "poke">;
}

type Request = RequestOf<typeof contract>;
type Reply = ReplyOf<typeof contract>;

/** Of payloads in one call: they are in memory together. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Thrown through the transaction when somebody else has taken a record since it was read. */
class Taken extends Error {}

/**
 * Judges rejected records again and moves those that may come in now, under the receipts that they have: in one
 * transaction with the ledger and with what is to be published.
 */
export async function redriveRejected(
  deps: RedriveDeps,
  request: Request,
  context: CallContext,
): Promise<Reply> {
  for (;;) {
    try {
      return await redrivePage(deps, request, context);
    } catch (error) {
      if (!(error instanceof Taken)) throw error;
    }
  }
}

async function redrivePage(
  { ingest, outbox }: RedriveDeps,
  request: Request,
  context: CallContext,
): Promise<Reply> {
  const { db } = ingest;
  const { limit, after = 0, ...filter } = request;
  const answer = (work: (tx: Transaction) => Promise<Reply>) =>
    once(db, context, { endpoint: contract.subject, request }, work);

  const kept = await readRejected(db, filter, { after: Number(after), limit, maxBytes: MAX_BYTES });
  const last = kept.at(-1);
  if (last === undefined) {
    return await answer(() => Promise.resolve({ stored: 0, duplicates: 0, rejected: 0, next: null }));
  }
  const circumstances = await readCircumstances(ingest, new Set(kept.map(({ source }) => source)));
  const again = judgeAgain(kept, circumstances);

  let reply: Reply | undefined;
  await storeJudgement(ingest, again.judgement, {
    enqueue: enqueueIngested,
    // Judged and prepared before: a transaction that waits for other connections may wait for ever.
    transact: async (write) => {
      let stored: Stored = { publish: () => [], accepted: [], refused: [], repeated: [], again: [] };
      reply = await answer(async (tx) => {
        if (!await lockRejected(tx, kept.map(({ number }) => number))) throw new Taken();
        stored = await write(tx);
        await replaceRejected(tx, kept, again);
        const more = await isMoreRejected(tx, filter, { after: last.number });
        return {
          stored: stored.accepted.length,
          duplicates: stored.repeated.length,
          rejected: again.refused.reduce((sum, { records }) => sum + records.length, 0),
          next: more ? String(last.number) : null,
        };
      });
      return stored;
    },
  });
  outbox.poke();
  return reply!;
}

/** Takes what came in out of the rejected records, and tells of the others why they still may not. */
async function replaceRejected(
  tx: Transaction,
  kept: readonly KeptRecord[],
  { refused }: JudgedAgain,
): Promise<void> {
  const still = new Set(refused.map(({ number }) => number));
  await deleteRejected(tx, kept.map(({ number }) => number).filter((number) => !still.has(number)));
  await updateRejected(tx, refused.map(({ number, records: [first] }) => ({ number, refused: first! })));
  // Lines of what was kept as one text.
  const more = await insertRefused(tx, refused.flatMap(({ records }) => records.slice(1)));
  await addToLedger(tx, changes(kept.filter(({ number }) => !still.has(number)), more));
}

/** Of the ledger's counts: what was rejected and is so no more, and what has become so. */
function changes(moved: readonly KeptRecord[], added: DayCounts): LedgerEntry[] {
  const entries = new Map<string, LedgerEntry>();
  const count = ({ source, day, records: rejected }: DayCounts[number]) => {
    const key = `${source} ${day}`;
    const nothing = { source, day, received: 0, stored: 0, rejected: 0, duplicates: 0, deadLettered: 0 };
    const entry = entries.get(key) ?? nothing;
    entries.set(key, { ...entry, rejected: entry.rejected + rejected });
  };
  for (const day of countByDay(moved)) count({ ...day, records: -day.records });
  added.forEach(count);
  return [...entries.values()];
}
