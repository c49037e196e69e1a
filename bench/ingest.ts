/**
 * `ingest`: how fast data-ingestion drains a full stream EVENTS, beside `\copy` of the same rows into the same table.
 *
 * A drain is timed from the first record in the ledger to the last, so that the start of the process does not count;
 * the service validates, keeps the guard against duplicates and the ledger, and publishes to INGESTED, all of which
 * `\copy` does not do.
 *
 * @module
 */
import { join } from "node:path";
import { call } from "shared/bus/endpoints.ts";
import { type Outgoing, publishAll } from "shared/bus/publisher.ts";
import * as contract from "shared/contracts/data_ingestion.ts";
import { STREAM, subject } from "shared/contracts/streams.ts";
import type { Database } from "shared/db/connection.ts";
import { type BenchStack, startBenchStack } from "./bench_stack.ts";
import { drainRate } from "./drain_rate.ts";
import { type Bench, type BenchOptions, type BenchResult, inTurn } from "./harness.ts";
import { findPsql, type Psql } from "./psql.ts";

const SERVICE = "data-ingestion";
const EVENTS = 400_000;
export const EVENT_BYTES = 300;
/** Events in a message: as a client sends them that has many, and as one sends them that has one. */
export const MANY = 100;

export const ingest: Bench = {
  name: "ingest",
  summary: `events of ${EVENT_BYTES} bytes drained from a full EVENTS, beside psql's \\copy of the same rows`,
  run,
};

async function run({ rounds, scale, say }: BenchOptions): Promise<BenchResult> {
  await using bench = await startBenchStack([SERVICE], { say });
  const events = Math.max(2 * MANY, Math.round(EVENTS * scale));
  const intake = new Intake(bench, bench.database(SERVICE), events);
  await intake.declare();
  const psql = await findPsql(bench, SERVICE);
  const medians = await inTurn({
    batched: () => intake.drain(MANY),
    ...(psql === undefined ? {} : { copy: () => copy(psql, intake, bench.folder) }),
    single: () => intake.drain(1),
  }, { rounds, say });
  const { batched, single, copy: ceiling } = medians;
  const figures = {
    events,
    event_bytes: EVENT_BYTES,
    batched_events_per_second: batched!["per_second"]!,
    single_events_per_second: single!["per_second"]!,
  };
  const notes = [
    `${MANY} events a message (batched) and one a message (single), unique ids`,
    ...await bench.describe(),
  ];
  if (ceiling === undefined) {
    return { ratios: {}, figures, notes: [...notes, "psql is not there: no ceiling was measured"] };
  }
  const copied = ceiling["per_second"]!;
  const alone = ceiling["events_alone_per_second"]!;
  return {
    ratios: {
      psql_copy: figures.batched_events_per_second / copied,
      psql_copy_single: figures.single_events_per_second / copied,
      psql_copy_events_alone: figures.batched_events_per_second / alone,
    },
    figures: {
      ...figures,
      psql_copy_events_per_second: copied,
      psql_copy_events_alone_per_second: alone,
    },
    notes,
  };
}

/** A source of orders, its stream and its table. */
export class Intake {
  readonly #bench: BenchStack;
  readonly #db: Database;
  readonly #events: number;
  /** Events published in all: ids never come twice. */
  #published = 0;

  constructor(bench: BenchStack, db: Database, events: number) {
    this.#bench = bench;
    this.#db = db;
    this.#events = events;
  }

  get events(): number {
    return this.#events;
  }

  async declare(): Promise<void> {
    const { bus } = this.#bench;
    await call(bus, contract.putProject, { project: "bench", name: "bench", body: { clock: "wall" } });
    const fields = { order: { type: "string" }, quantity: { type: "integer" }, price: { type: "number" } };
    await call(bus, contract.putSource, {
      project: "bench",
      name: "orders",
      body: {
        kind: "events",
        id: ["order"],
        time: "at",
        schema: { type: "object", required: ["order", "quantity"], properties: fields },
      },
    });
  }

  /** Fills EVENTS while the service is away, and lets it catch up. */
  async drain(eventsPerMessage: number): Promise<Record<string, number>> {
    const { stack } = this.#bench;
    await stack.kill(SERVICE);
    await this.empty();
    await this.publish(eventsPerMessage);
    const before = await this.#stored();
    const started = stack.restart(SERVICE);
    const rate = drainRate(() => this.#stored(), { before, events: this.#events });
    await started;
    return { per_second: await rate };
  }

  /** Leaves tables and streams as every turn finds them. */
  async empty(): Promise<void> {
    await this.#db`truncate events, event_keys`;
    for (const { name } of [STREAM.events, STREAM.ingested, STREAM.clean]) {
      await this.#bench.bus.jsm.streams.purge(name);
    }
  }

  /** Publishes a turn's events. */
  async publish(eventsPerMessage: number): Promise<void> {
    const messages = this.messages(eventsPerMessage);
    for (let first = 0; first < messages.length; first += 10_000) {
      await publishAll(this.#bench.bus, messages.slice(first, first + 10_000));
    }
  }

  /** A turn's events as their sender has them. */
  messages(eventsPerMessage: number): Outgoing[] {
    const encoder = new TextEncoder();
    const messages: Outgoing[] = [];
    for (let first = 0; first < this.#events; first += eventsPerMessage) {
      const count = Math.min(eventsPerMessage, this.#events - first);
      const events = Array.from({ length: count }, () => order(this.#published++));
      const text = eventsPerMessage === 1 ? events[0]! : `[${events.join(",")}]`;
      messages.push({
        subject: subject.events("orders"),
        data: encoder.encode(text),
        messageId: `bench-${this.#published}`,
      });
    }
    return messages;
  }

  async #stored(): Promise<number> {
    const [row] = await this.#db<{ stored: number }[]>`
      select coalesce(sum(stored), 0)::bigint as stored from ledger where source = 'orders'`;
    return row!.stored;
  }
}

/** An order of exactly {@link EVENT_BYTES} bytes of JSON. */
export function order(n: number): string {
  const event = {
    order: `order-${String(n).padStart(9, "0")}`,
    customer: n % 5_000,
    quantity: n % 17,
    price: 12.5,
    at: new Date(1_300_000_000_000 + n * 1_000).toISOString(),
    note: "",
  };
  const missing = EVENT_BYTES - JSON.stringify(event).length;
  return JSON.stringify({ ...event, note: "x".repeat(missing) });
}

/**
 * What a drain has just stored goes out to files and in again, by psql, without any handling of conflicts. A stored
 * event with a unique id is a row of `events` and a row of `event_keys`, whose primary key makes the id unique (a
 * partitioned table can't): `per_second` is both copied, one after the other; `events_alone_per_second` only the first.
 */
export async function copy(psql: Psql, intake: Intake, folder: string): Promise<Record<string, number>> {
  const file = (table: string) => join(folder, `${table}.txt`);
  for (const table of TABLES) await psql.time(`\\copy (select * from ${table}) to '${file(table)}'`);
  await intake.empty();
  let ms = 0;
  const seconds: number[] = [];
  for (const table of TABLES) {
    ms += await psql.time(`\\copy ${table} from '${file(table)}'`);
    seconds.push(ms / 1_000);
  }
  const [alone, both] = seconds;
  return { per_second: intake.events / both!, events_alone_per_second: intake.events / alone! };
}

/** Both have a row an event. */
const TABLES = ["events", "event_keys"] as const;
