/** The use case of the service: cleaning the events of INGESTED, and those of REPLAY beside them. @module */
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import type { Outgoing } from "shared/bus/message.ts";
import { type Database, type Transaction, transaction } from "shared/db/connection.ts";
import { enqueue } from "shared/db/outbox.ts";
import { AppError } from "shared/errors.ts";
import { block, blockOfUnusable, hold } from "./blocks.ts";
import { toMessages } from "./clean_messages.ts";
import { type Arrival, type ArrivedRecord, cleanRecords, type Flow, handedOn } from "./clean_records.ts";
import type { Cleanings, VersionedCleaning } from "./cleanings.ts";
import { Counts, dayOf } from "./domain/counts.ts";
import { NO_MEMORY } from "./domain/memory.ts";
import { type Observation, observationOf, type Observe } from "./observe.ts";
import { refuseLongOutbox } from "./outbox_room.ts";
import { findBlocked } from "./repository/blocks.ts";
import { addToCounts } from "./repository/counts.ts";
import {
  claimMessages,
  findFirstBrought,
  guard,
  type MessageKey,
  pinCleaning,
  readUnsettled,
  settleMessages,
} from "./repository/intake.ts";

/** A message: a batch of events of one source. */
export interface Batch extends MessageKey, Arrival {
  source: string;
  /** The replay that it belongs to; empty: the live flow. */
  run: string;
  /** Whether what is clean is handed on. */
  handOn: boolean;
  events: readonly PlatformEvent[];
}

export interface PreprocessDeps extends Cleanings {
  db: Database;
  /** Most bytes of records that are held of blocked sources. */
  maxHeldBytes: number;
  /** Told of what is clean in the live flow. */
  observe: Observe;
  /** Throws when the messages are another copy's. Default: they are anybody's. */
  admit?: (tx: Transaction) => Promise<void>;
  /** Told when messages stand in the outbox. */
  pokeOutbox(): void;
}

/**
 * Cleans the events of the batches, in one transaction. May be repeated: what was dealt with before changes
 * nothing, and leads to the same clean events, by the cleaning that dealt with it then. Where computing it again
 * could give something else, since earlier records matter or a source is blocked, what is clean goes out by the outbox.
 *
 * @param batches of one stream
 * @returns what is to be published
 */
export async function preprocess(deps: PreprocessDeps, batches: readonly Batch[]): Promise<Outgoing[]> {
  const inForce = new Map<string, VersionedCleaning>();
  for (const { source } of batches) {
    if (!inForce.has(source)) inForce.set(source, await deps.cleaningOf(source));
  }
  const { fresh, publish, enqueued } = await transaction(deps.db, async (tx) => {
    await deps.admit?.(tx);
    const cleanings = await pinned(tx, deps, { batches, inForce });
    const claimed = await claimMessages(
      tx,
      batches.map(({ stream, sequence, receivedAt, source, run }) => ({
        ...{ stream, sequence, receivedAt },
        cleaning: cleanings.get(flowKey({ source, run }))!.version,
      })),
    );
    const fresh = batches.filter(({ sequence }) => claimed.has(sequence));
    return { fresh: new Set(fresh), ...await cleanFresh(tx, deps, { batches: fresh, cleanings }) };
  });
  if (enqueued) deps.pokeOutbox();
  return [...await cleanAgain(deps, batches.filter((batch) => !fresh.has(batch))), ...publish];
}

const flowKey = ({ source, run }: { source: string; run: string }) => `${source} ${run}`;

/** The cleaning of each flow: the one in force, and of a replay the one that was when it began. */
async function pinned(
  tx: Transaction,
  { cleaningVersion }: Pick<PreprocessDeps, "cleaningVersion">,
  { batches, inForce }: {
    batches: readonly Batch[];
    inForce: ReadonlyMap<string, VersionedCleaning>;
  },
): Promise<Map<string, VersionedCleaning>> {
  const cleanings = new Map<string, VersionedCleaning>();
  for (const { source, run } of batches) {
    const key = flowKey({ source, run });
    if (cleanings.has(key)) continue;
    const current = inForce.get(source)!;
    const version = run === ""
      ? current.version
      : await pinCleaning(tx, { run, source, cleaning: current.version });
    cleanings.set(key, version === current.version ? current : await cleaningVersion(source, version));
  }
  return cleanings;
}

/** A flow with the messages that brought it. */
interface IntakeFlow extends Flow {
  batches: Batch[];
  records: ArrivedRecord[];
  handOn: boolean;
}

async function cleanFresh(
  tx: Transaction,
  deps: PreprocessDeps,
  { batches, cleanings }: {
    batches: readonly Batch[];
    cleanings: ReadonlyMap<string, VersionedCleaning>;
  },
): Promise<{ publish: Outgoing[]; enqueued: boolean }> {
  const counts = new Counts();
  const flows = await admitEvents(tx, toFlows(batches, cleanings), counts);
  const blocked = await findBlocked(
    tx,
    flows.filter(({ run }) => run === "").map(({ source }) => source),
  );
  const publish: Outgoing[] = [];
  const outbox: Outgoing[] = [];
  const held: ArrivedRecord[] = [];
  const settled: Batch[] = [];
  const observations: Observation[] = [];
  for (const flow of flows) {
    const { run, source, cleaning, handOn } = flow;
    const isUnusable = cleaning.cleaning.unusable !== undefined && flow.records.length > 0;
    if (isUnusable && run !== "") throw unprocessable(cleaning, flow);
    if (isUnusable && !blocked.has(source)) await block(tx, blockOfUnusable(cleaning, flow));
    if (run === "" && (isUnusable || blocked.has(source))) {
      held.push(...flow.records);
      settled.push(...flow.batches);
      continue;
    }
    const result = await cleanRecords(tx, flow, counts);
    const messages = handOn ? toMessages(flow, result.handedOn) : [];
    if (cleaning.cleaning.pure && result.block === undefined) {
      publish.push(...messages);
    } else {
      outbox.push(...messages);
      settled.push(...flow.batches);
    }
    if (result.block !== undefined) {
      const { since, reason, rest } = result.block;
      await block(tx, { source, project: cleaning.project, since, reason });
      held.push(...rest);
    }
    if (run === "") observations.push(observationOf(flow, result.clean));
  }
  await hold(tx, held, { counts, maxBytes: deps.maxHeldBytes });
  await addToCounts(tx, counts.entries);
  await deps.observe(tx, observations);
  if (settled.length > 0) await settleMessages(tx, settled);
  if (outbox.length > 0) {
    await refuseLongOutbox(tx);
    await enqueue(tx, outbox);
  }
  return { publish, enqueued: settled.length > 0 };
}

/** Only its own replay must suffer from a cleaning that can't be used. */
function unprocessable({ cleaning, version }: VersionedCleaning, { run, source }: Flow): AppError {
  return new AppError(
    "unprocessable",
    `Cannot clean "${source}" in the replay ${run} by version ${version}: ${cleaning.unusable}`,
  );
}

/** Sources of entities come first, so that what is enriched from them finds what came with it. */
function toFlows(
  batches: readonly Batch[],
  cleanings: ReadonlyMap<string, VersionedCleaning>,
): IntakeFlow[] {
  const flows = new Map<string, IntakeFlow>();
  for (const batch of batches) {
    const { run, source, handOn } = batch;
    const key = flowKey(batch);
    const flow = flows.get(key) ??
      { run, source, handOn, cleaning: cleanings.get(key)!, batches: [], records: [] };
    flows.set(key, flow);
    flow.batches.push(batch);
  }
  const isOfEntities = ({ batches: [first] }: IntakeFlow) => first?.events[0]?.subject !== undefined;
  // And all copies take them in one order, so that they wait for each other instead of dying in a deadlock.
  return [...flows].sort(([a, one], [b, other]) =>
    Number(isOfEntities(other)) - Number(isOfEntities(one)) || (a < b ? -1 : 1)
  ).map(([, flow]) => flow);
}

/** Gives each flow the records that come for the first time, and counts the others. */
async function admitEvents(tx: Transaction, flows: IntakeFlow[], counts: Counts): Promise<IntakeFlow[]> {
  const brought: { flow: IntakeFlow; event: PlatformEvent; batch: Batch }[] = [];
  for (const flow of flows) {
    const idsOf = new Map<number, Set<string>>();
    for (const batch of flow.batches) {
      counts.of(flow, dayOf(batch.receivedAt)).received += batch.events.length;
      for (const event of batch.events) {
        const { id, definition } = event;
        let ids = idsOf.get(definition);
        if (ids === undefined) idsOf.set(definition, ids = new Set());
        if (ids.has(id)) {
          counts.of(flow, dayOf(batch.receivedAt)).duplicates++;
        } else {
          ids.add(id);
          brought.push({ flow, event, batch });
        }
      }
    }
  }
  const seenBefore = await guard(tx, brought.map(toBrought));
  for (const [index, { flow, event, batch }] of brought.entries()) {
    if (seenBefore.has(index)) counts.of(flow, dayOf(batch.receivedAt)).duplicates++;
    else flow.records.push({ event, arrival: batch });
  }
  return flows;
}

function toBrought({ event: { id, definition }, batch: { source, run, sequence } }: {
  event: PlatformEvent;
  batch: Batch;
}) {
  return { source, id, definition, run, sequence };
}

/** What an earlier attempt made of these batches, computed again. It may have died before it published. */
async function cleanAgain(deps: PreprocessDeps, batches: readonly Batch[]): Promise<Outgoing[]> {
  if (batches.length === 0) return [];
  const versions = await readUnsettled(deps.db, batches);
  const open = batches.filter(({ handOn, sequence }) => handOn && versions.has(sequence));
  const brought = open.flatMap((batch) => batch.events.map((event) => ({ event, batch })));
  // Others came by another message, which brings them on itself.
  const first = await findFirstBrought(deps.db, brought.map(toBrought));
  const messages: Outgoing[] = [];
  for (const [batch, ofBatch] of Map.groupBy(brought.filter((_, n) => first.has(n)), ({ batch }) => batch)) {
    const { cleaning, version } = await deps.cleaningVersion(batch.source, versions.get(batch.sequence)!);
    const records = ofBatch.map(({ event }) => event);
    const cleaned = await cleaning.clean(
      records.map(({ id, time, knownat, data }) => ({ event: { id, time, knownAt: knownat }, data })),
      { memory: NO_MEMORY },
    );
    const made = Map.groupBy(cleaned, ({ origin }) => origin);
    const events = records.flatMap((event, origin) =>
      handedOn(event, made.get(origin) ?? [], { run: batch.run, version })
    );
    messages.push(...toMessages(batch, events.map((event) => ({ event, arrival: batch }))));
  }
  return messages;
}
