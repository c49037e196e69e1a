/**
 * `update`: clean events into records and the buckets of ten windowed aggregates, beside psql's `\copy` of the same rows;
 * an entity with a hundred times the events beside a light one; and how soon a published event is in an online read.
 *
 * @module
 */
import { join } from "node:path";
import { encodeBatches } from "shared/bus/batch.ts";
import { call } from "shared/bus/endpoints.ts";
import { publishAll } from "shared/bus/publisher.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import * as features from "shared/contracts/feature_store.ts";
import { STREAM, subject } from "shared/contracts/streams.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import { delay } from "shared/delay.ts";
import { type BenchStack, startBenchStack } from "./bench_stack.ts";
import { drainRate } from "./drain_rate.ts";
import { type Bench, type BenchOptions, type BenchResult, inTurn } from "./harness.ts";
import { findPsql, type Psql } from "./psql.ts";

const SERVICE = "feature-store";
const EVENTS = 100_000;
const CUSTOMERS = 1_000;
const POLL_MS = 10;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const HEAVY = 100;
/** Events a second while the freshness is measured. */
const RATE = 1_000;

export const update: Bench = {
  name: "update",
  summary:
    "clean events into 10 windowed aggregates beside psql's \\copy; heavy and light entities; freshness",
  run,
};

const windowed = (window: string) => ({
  orders: { aggregate: "count", window },
  spend: { aggregate: "sum", field: "amount", window },
  mean: { aggregate: "mean", field: "amount", window },
  most: { aggregate: "max", field: "amount", window },
  deviation: { aggregate: "deviation", field: "amount", window },
} as const);

/** Five aggregates over each of two windows. */
const view = {
  entity: "customer",
  source: "orders",
  features: Object.fromEntries(
    ["P7D", "P30D"].flatMap((window) =>
      Object.entries(windowed(window)).map(([name, feature]) => [`${name}_${window.toLowerCase()}`, feature])
    ),
  ),
};
const ALL = Object.keys(view.features).map((name) => `orders.${name}`);

async function run({ rounds, scale, say }: BenchOptions): Promise<BenchResult> {
  await using bench = await startBenchStack([SERVICE], { say });
  const events = Math.max(2_000, Math.round(EVENTS * scale));
  await declare(bench);
  const psql = await findPsql(bench, SERVICE);
  const drains = new Drains(bench, events);
  const { ours, copied } = await inTurn({
    ours: () => drains.drain(),
    ...(psql === undefined ? {} : { copied: () => drains.copy(psql) }),
  }, { rounds, say });
  const weights = await compareWeights(bench, say);
  const fresh = await measureFreshness(bench, { seconds: Math.max(1, 5 * scale), say });

  const figures = {
    events,
    customers: CUSTOMERS,
    events_per_second: ours!["per_second"]!,
    buckets: ours!["buckets"]!,
    ...weights,
    ...fresh,
  };
  const ratios = {
    light_read_time: weights.light_read_ms / weights.heavy_read_ms,
    light_bucket_bytes: weights.light_bytes / weights.heavy_bytes,
    round_trips: 30 * fresh.round_trip_p50_ms / fresh.fresh_p50_ms,
  };
  const notes = [
    `events of ${CUSTOMERS} customers an hour apart each, 500 a message; a record, buckets of two hours and of a lifetime each`,
    `the heavy entity has ${HEAVY} times the events of the light one, in as many buckets; ratios above 1 mean it is as good`,
    `freshness at ${RATE} events a second: from publishing to CLEAN to the answer of an online read that waits for it; ` +
    "the ratio is of 30 JetStream round trips (a publish with its acknowledgement, under the same load)",
    ...await bench.describe(),
  ];
  if (copied === undefined) {
    return { ratios, figures, notes: [...notes, "psql is not there: no ceiling was measured"] };
  }
  return {
    ratios: { psql_copy: figures.events_per_second / copied["per_second"]!, ...ratios },
    figures: { ...figures, psql_copy_rows_per_second: copied["per_second"]! },
    notes,
  };
}

async function declare({ bus }: BenchStack): Promise<void> {
  const project = "bench";
  await call(bus, features.putEntity, { project, name: "customer", body: { keys: { customer: "integer" } } });
  await call(bus, features.putView, { project, name: "orders", body: view });
}

function order(id: string, customer: number, time: Instant): PlatformEvent {
  return {
    specversion: "1.0",
    id,
    source: "orders",
    type: "microml.clean.v1",
    time,
    knownat: time,
    definition: 1,
    data: {
      order: `order-${id}`,
      customer,
      quantity: customer % 17,
      amount: (customer % 5_000) / 100,
      note: "as usual",
    },
  };
}

async function publish({ bus }: BenchStack, events: readonly PlatformEvent[]): Promise<void> {
  const batches = encodeBatches(events, { subject: subject.clean("orders") });
  await publishAll(bus, batches);
}

class Drains {
  readonly #bench: BenchStack;
  readonly #events: number;
  #made = 0;

  constructor(bench: BenchStack, events: number) {
    this.#bench = bench;
    this.#events = events;
  }

  /** Each customer orders once an hour; the hours go on from turn to turn. */
  #next(): PlatformEvent[] {
    return Array.from({ length: this.#events }, () => {
      const number = this.#made++;
      const hour = Math.floor(number / CUSTOMERS);
      return order(
        `${number}`,
        number % CUSTOMERS,
        toInstant(Date.UTC(2011, 0, 3) + hour * HOUR + number % CUSTOMERS),
      );
    });
  }

  /** Fills CLEAN while the service is away, and lets it catch up. */
  async drain(): Promise<Record<string, number>> {
    const { stack } = this.#bench;
    const db = this.#bench.database(SERVICE);
    await stack.kill(SERVICE);
    await db`truncate records, buckets`;
    await publish(this.#bench, this.#next());
    const before = await this.#stored();
    const started = stack.restart(SERVICE);
    const per_second = await drainRate(() => this.#stored(), { before, events: this.#events });
    await started;
    const [row] = await db<{ buckets: number }[]>`select count(*) as buckets from buckets`;
    return { per_second, buckets: row!.buckets };
  }

  /** The same rows into a table with the same indexes, by the server's own clock. */
  async copy(psql: Psql): Promise<Record<string, number>> {
    const db = this.#bench.database(SERVICE);
    const file = join(this.#bench.folder, "rows.txt");
    const rows = this.#next().map((event) =>
      [
        "orders",
        event.id,
        1,
        "customer",
        `["${event.data["customer"]}"]`,
        event.time,
        event.knownat,
        JSON.stringify(event.data),
        "f",
      ].join("\t")
    );
    await Deno.writeTextFile(file, `${rows.join("\n")}\n`);
    await db`truncate records, buckets`;
    const columns = "source, id, definition, entity, entity_key, event_time, known_at, data, retracted";
    const ms = await psql.time(`\\copy records (${columns}) from '${file}'`);
    return { per_second: this.#events / ms * 1_000 };
  }

  async #stored(): Promise<number> {
    const [row] = await this.#bench.database(SERVICE)<{ stored: number }[]>`
      select coalesce(sum(records), 0)::bigint as stored from source_counts`;
    return row!.stored;
  }
}

/** Two entities over the same 30 days, one with a hundred times the events of the other. */
async function compareWeights(bench: BenchStack, say: (line: string) => void) {
  const start = Date.UTC(2012, 0, 2);
  const [light, heavy] = [CUSTOMERS, CUSTOMERS + 1];
  const hours = 30 * 12;
  const events = Array.from({ length: hours }, (_, slot) => slot).flatMap((slot) => [
    order(`light-${slot}`, light, toInstant(start + slot * 2 * HOUR + 1_000)),
    ...Array.from(
      { length: HEAVY },
      (_, copy) =>
        order(`heavy-${slot}-${copy}`, heavy, toInstant(start + slot * 2 * HOUR + 1_000 + copy * 60_000)),
    ),
  ]);
  const db = bench.database(SERVICE);
  const counted = async () => {
    const [row] = await db<{ records: number }[]>`select sum(records)::bigint as records from source_counts`;
    return row!.records;
  };
  const before = await counted();
  await publish(bench, events);
  while (await counted() < before + events.length) await delay(POLL_MS);
  const asOf = toInstant(start + 31 * DAY);
  const read = async (customer: number) => {
    const times: number[] = [];
    for (let count = 0; count < 200; count++) {
      const startedAt = performance.now();
      await call(bench.bus, features.online, { features: ALL, entities: [{ customer }], asOf });
      times.push(performance.now() - startedAt);
    }
    return quantile(times, 0.5);
  };
  const size = async (customer: number) => {
    const [row] = await db<{ bytes: number; buckets: number }[]>`
      select sum(pg_column_size(buckets))::bigint as bytes, count(*) as buckets from buckets
      where entity_key = ${`["${customer}"]`}`;
    return row!;
  };
  await read(light);
  const weights = {
    light_read_ms: await read(light),
    heavy_read_ms: await read(heavy),
    light_bytes: (await size(light)).bytes,
    heavy_bytes: (await size(heavy)).bytes,
    light_buckets: (await size(light)).buckets,
    heavy_buckets: (await size(heavy)).buckets,
  };
  say(
    `a light entity is read in ${weights.light_read_ms.toFixed(2)} ms, a heavy one in ${
      weights.heavy_read_ms.toFixed(2)
    } ms`,
  );
  return weights;
}

/** Publishes one event a message at the rate, and follows some of them until they are read. */
async function measureFreshness(
  bench: BenchStack,
  { seconds, say }: { seconds: number; say: (line: string) => void },
) {
  const { bus } = bench;
  let stopped = false;
  let published = 0;
  const load = (async () => {
    const startedAt = performance.now();
    while (!stopped) {
      const due = Math.floor((performance.now() - startedAt) * RATE / 1_000) - published;
      const batch = Array.from({ length: Math.min(due, 50) }, () => {
        const number = published++;
        return order(`load-${number}`, number % CUSTOMERS, toInstant(Date.now()));
      });
      await Promise.all(batch.map((event) => publish(bench, [event])));
      await delay(2);
    }
  })();
  const fresh: number[] = [];
  const roundTrips: number[] = [];
  const endsAt = performance.now() + seconds * 1_000;
  const probe = CUSTOMERS + 2;
  for (let number = 0; performance.now() < endsAt; number++) {
    const event = order(`probe-${number}-${crypto.randomUUID()}`, probe, toInstant(Date.now()));
    const [message] = encodeBatches([event], { subject: subject.clean("orders") });
    const startedAt = performance.now();
    const { seq } = await bus.js.publish(message!.subject, message!.data, { msgID: message!.messageId });
    roundTrips.push(performance.now() - startedAt);
    const { rows } = await call(bus, features.online, {
      features: ["orders.orders_p7d"],
      entities: [{ customer: probe }],
      waitFor: { position: seq, timeoutMs: 10_000 },
    });
    fresh.push(performance.now() - startedAt);
    if (rows[0]!.values[0] !== number + 1) {
      throw new Error(`A read gave ${rows[0]!.values[0]} after ${number + 1} events`);
    }
    await delay(5);
  }
  stopped = true;
  await load;
  const { name } = STREAM.clean;
  say(`${published} events on ${name} while ${fresh.length} were followed`);
  return {
    fresh_p50_ms: quantile(fresh, 0.5),
    fresh_p99_ms: quantile(fresh, 0.99),
    round_trip_p50_ms: quantile(roundTrips, 0.5),
    round_trip_p99_ms: quantile(roundTrips, 0.99),
  };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}
