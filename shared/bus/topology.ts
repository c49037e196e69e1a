/**
 * Makes what shared/contracts/streams.ts declares: streams, durables, key-value buckets, the object store.
 *
 * @module
 */
import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import { nanos } from "nats";
import { BUCKET, FILES_BUCKET, type StreamRow, STREAMS } from "../contracts/streams.ts";
import { AppError } from "../errors.ts";
import { isMissing } from "./bus_errors.ts";
import type { Bus } from "./connection.ts";

/** How streams and durables are made. The defaults are for production; tests shorten the times. */
export interface TopologyOptions {
  /** After this time without a word, a message goes to another consumer. Default 30 s. */
  ackWaitMs?: number;
  /** A message id seen within this time is not stored again. Default 2 minutes, at least 100 ms. */
  duplicateWindowMs?: number;
  /** Copies of each stream in a cluster; left as it is where absent. */
  replicas?: number;
}

const ACK_WAIT_MS = 30_000;
const DUPLICATE_WINDOW_MS = 120_000;
/** Enough for twenty copies of a consumer with a full batch in hand and one ahead. */
const MAX_ACK_PENDING = 10_000;

/** JetStream's number for a name that is taken by other settings. */
const STREAM_NAME_IN_USE = 10_058;
/** JetStream's number for a durable that is there with other settings. */
const CONSUMER_EXISTS = 10_148;

type Wanted<Config> = Partial<Config>;

/**
 * Makes what is missing and updates what differs. Does nothing where all is as declared, and may be called by
 * any number of services at once.
 *
 * @throws {AppError} `conflict` when a stream or durable is there with a setting that cannot be changed
 */
export async function ensureTopology(bus: Bus): Promise<void> {
  const { replicas } = bus.topology;
  const storage = { storage: StorageType.File, ...(replicas === undefined ? {} : { replicas }) };
  const kvm = new Kvm(bus.js);
  await Promise.all([
    ...STREAMS.map((row) => ensureStream(bus, row)),
    ...Object.values(BUCKET).map((bucket) => kvm.create(bucket, { history: 1, ...storage })),
    new Objm(bus.js).create(FILES_BUCKET, storage),
  ]);
}

async function ensureStream(bus: Bus, row: StreamRow): Promise<void> {
  const { jsm, topology } = bus;
  const wanted = streamConfig(row, topology);
  const there = await streamOrNothing(bus, row.name) ?? await addStream(bus, row, wanted);
  for (const durable of row.durables) await ensureDurable(bus, row.name, durableConfig(durable, topology));
  if (isAsWanted(there, wanted)) return;
  try {
    await jsm.streams.update(row.name, wanted);
  } catch (error) {
    throw cannotChange(`the stream ${row.name}`, error);
  }
}

/**
 * A stream with interest retention drops what comes before its durables: it listens to nothing until they are
 * there, and to its subjects after that.
 */
async function addStream(
  bus: Bus,
  row: StreamRow,
  wanted: Wanted<StreamConfig>,
): Promise<StreamConfig> {
  const subjects = row.retention === "interest" ? [`$MICROML.starting.${row.name}`] : [...row.subjects];
  try {
    return (await bus.jsm.streams.add({ ...wanted, name: row.name, subjects })).config;
  } catch (error) {
    // Another service was faster, and is further.
    if (error instanceof JetStreamApiError && error.code === STREAM_NAME_IN_USE) {
      return (await bus.jsm.streams.info(row.name)).config;
    }
    throw cannotMake(`the stream ${row.name}`, error);
  }
}

async function streamOrNothing(bus: Bus, name: string): Promise<StreamConfig | undefined> {
  try {
    return (await bus.jsm.streams.info(name)).config;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function ensureDurable(bus: Bus, stream: string, wanted: Wanted<ConsumerConfig>): Promise<void> {
  const { consumers } = bus.jsm;
  const name = wanted.durable_name!;
  try {
    await consumers.add(stream, wanted);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== CONSUMER_EXISTS) {
      throw cannotMake(`the durable ${name} of ${stream}`, error);
    }
    try {
      await consumers.update(stream, name, wanted);
    } catch (cause) {
      throw cannotChange(`the durable ${name} of ${stream}`, cause);
    }
  }
}

function streamConfig(row: StreamRow, options: TopologyOptions): Wanted<StreamConfig> {
  const { duplicateWindowMs = DUPLICATE_WINDOW_MS, replicas } = options;
  return {
    name: row.name,
    subjects: [...row.subjects],
    storage: StorageType.File,
    retention: row.retention === "interest" ? RetentionPolicy.Interest : RetentionPolicy.Limits,
    discard: row.discard === "new" ? DiscardPolicy.New : DiscardPolicy.Old,
    max_bytes: row.maxBytes,
    max_age: row.maxAgeMs === undefined ? 0 : nanos(row.maxAgeMs),
    duplicate_window: nanos(duplicateWindowMs),
    ...(replicas === undefined ? {} : { num_replicas: replicas }),
  };
}

function durableConfig(durable: string, options: TopologyOptions): Wanted<ConsumerConfig> {
  const { ackWaitMs = ACK_WAIT_MS } = options;
  return {
    durable_name: durable,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: nanos(ackWaitMs),
    // Attempts are counted by the consumer, which knows whether the message or the infrastructure failed.
    max_deliver: -1,
    max_ack_pending: MAX_ACK_PENDING,
  };
}

function isAsWanted(config: StreamConfig, wanted: Wanted<StreamConfig>): boolean {
  const actual: Partial<Record<string, unknown>> = { ...config };
  return Object.entries(wanted).every(([key, value]) =>
    JSON.stringify(actual[key] ?? 0) === JSON.stringify(value)
  );
}

function cannotMake(what: string, error: unknown): unknown {
  if (!(error instanceof JetStreamApiError) || error.status >= 500) return error;
  return new AppError("conflict", `Cannot make ${what}: ${error.message}`, { cause: error });
}

function cannotChange(what: string, error: unknown): unknown {
  if (!(error instanceof JetStreamApiError)) return error;
  return new AppError(
    "conflict",
    `Cannot bring ${what} up to date: ${error.message}; it must be removed, or changed by hand, first`,
    { cause: error },
  );
}
