/** The use case of telling what came of every record: the database's counts with the streams' own. @module */
import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import type { LedgerRow } from "shared/contracts/data_ingestion.ts";
import { STREAM, subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Bus } from "shared/bus/connection.ts";
import type { Database } from "shared/db/connection.ts";
import { nanos } from "nats";
import { readLedger } from "./repository/ledger.ts";

const SERVICE = "data-ingestion";

/**
 * The ledger by source, sorted by name.
 *
 * A message is pending when it is in EVENTS and the database holds nothing of it. The messages behind the
 * consumer's acknowledgement floor are counted first, then those of them that the database knows, at the moment
 * of its counts: a message that is stored but not acknowledged yet is never counted twice, and one that arrives
 * meanwhile shows in the next call.
 */
export async function ledgerRows({ db, bus }: { db: Database; bus: Bus }): Promise<LedgerRow[]> {
  const { ack_floor, num_pending, num_ack_pending } = await bus.jsm.consumers.info(
    STREAM.events.name,
    SERVICE,
  );
  const first = ack_floor.stream_seq + 1;
  const waiting = num_pending + num_ack_pending === 0 ? new Map() : await waitingBySource(bus, first);
  const { state, created } = await bus.jsm.streams.info(STREAM.events.name);
  const last = waiting.size === 0 ? 0 : state.last_seq;
  const { sums, handled } = await readLedger(db, { first, last, since: toInstant(Date.parse(created)) });
  const deadLetters = await countBySource(
    bus,
    STREAM.deadletter.name,
    subject.deadletter(SERVICE, STREAM.events.name, "*"),
  );

  const counted = new Map(sums.map((row) => [row.source, row]));
  const names = new Set([...counted.keys(), ...waiting.keys(), ...deadLetters.keys()]);
  return [...names].sort().map((source) => {
    const { stored = 0, rejected = 0, duplicates = 0 } = counted.get(source) ?? {};
    const pending = Math.max(0, (waiting.get(source) ?? 0) - (handled.get(source) ?? 0));
    const deadLettered = deadLetters.get(source) ?? 0;
    const accepted = pending + stored + rejected + duplicates + deadLettered;
    return { source, accepted, pending, stored, rejected, duplicates, deadLettered };
  });
}

/** Messages by the last token of their subject. */
async function countBySource(bus: Bus, stream: string, filter: string): Promise<Map<string, number>> {
  const { state } = await bus.jsm.streams.info(stream, { subjects_filter: filter });
  return new Map(
    Object.entries(state.subjects ?? {}).map(([name, messages]) => [
      name.slice(name.lastIndexOf(".") + 1),
      messages,
    ]),
  );
}

/** Messages from a sequence on. A consumer that delivers nothing is how the server counts them for a subject. */
async function waitingBySource(bus: Bus, first: number): Promise<Map<string, number>> {
  const { consumers } = bus.jsm;
  const sources = await countBySource(bus, STREAM.events.name, subject.events("*"));
  const counts = await Promise.all([...sources.keys()].map(async (source) => {
    const { name, num_pending } = await consumers.add(STREAM.events.name, {
      filter_subject: subject.events(source),
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: first,
      ack_policy: AckPolicy.None,
      mem_storage: true,
      inactive_threshold: nanos(5_000),
    });
    await consumers.delete(STREAM.events.name, name);
    return [source, num_pending] as const;
  }));
  return new Map(counts.filter(([, messages]) => messages > 0));
}
