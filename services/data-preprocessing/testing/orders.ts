/** Orders on their way through the service, for its tests. @module */
import { assertEquals } from "@std/assert";
import type { z } from "zod";
import { decodeBatch, encodeBatches } from "shared/bus/batch.ts";
import { bucketPut } from "shared/bus/bucket.ts";
import type { Bus } from "shared/bus/connection.ts";
import { publishAll } from "shared/bus/publisher.ts";
import type { cleaningBodySchema } from "shared/contracts/cleaning.ts";
import * as contract from "shared/contracts/data_preprocessing.ts";
import { HEADER, type PlatformEvent } from "shared/contracts/envelope.ts";
import type { ReplayTarget } from "shared/contracts/replay.ts";
import { type SourceBody, sourceBodySchema } from "shared/contracts/source.ts";
import { BUCKET, STREAM, type StreamRow, subject } from "shared/contracts/streams.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService, type TestService, type TestServiceOptions } from "shared/testing/service.ts";
import { storedMessages } from "shared/testing/streams.ts";
import { createApp } from "../app.ts";
import { configSchema } from "../config.ts";

export type CleaningInput = z.input<typeof cleaningBodySchema>;

export const start = (options?: TestServiceOptions) =>
  startTestService("data-preprocessing", configSchema, createApp, options);

/** Six steps and expectations that look at nothing but the record. */
export const CLEANING: CleaningInput = {
  steps: [
    { step: "cast", fields: ["quantity", "price"], to: "number" },
    { step: "derive", field: "amount", expression: "e.quantity * e.price" },
    { step: "filter", expression: "e.quantity != 0", reason: "nothing sold" },
  ],
  expectations: [
    { expect: "not_null", fields: ["customer"], action: "quarantine" },
    { expect: "range", field: "price", min: 0, action: "quarantine" },
    { expect: "range", field: "quantity", max: 100, action: "warn" },
  ],
};

export const define = (service: TestService, body = CLEANING, name = "orders") =>
  service.call(contract.putCleaning, { project: "shop", name, body });

/** Puts a source into the bucket, as data-ingestion does. */
export async function declareSource(
  bus: Bus,
  name: string,
  body: z.input<typeof sourceBodySchema>,
): Promise<void> {
  const source: SourceBody = sourceBodySchema.parse(body);
  const stored = {
    project: "shop",
    kind: "source",
    name,
    version: 1,
    body: source,
    actor: "test",
    changedAt: "2026-01-01T00:00:00.000Z",
  };
  const key = `data-ingestion.source.${name}`;
  await publishAll(bus, [bucketPut(BUCKET.definitions, key, stored, crypto.randomUUID())]);
}

export const event = (
  id: string,
  data: Record<string, unknown>,
  more: Partial<PlatformEvent> = {},
): PlatformEvent => ({
  specversion: "1.0",
  id,
  source: "orders",
  type: "microml.ingested.v1",
  time: "2011-01-01T00:00:00.000Z",
  knownat: "2011-01-02T00:00:00.000Z",
  definition: 7,
  ...more,
  data,
});

export const sold = (id: string, data: Record<string, unknown> = {}, more: Partial<PlatformEvent> = {}) =>
  event(id, { quantity: "2", price: "1.5", customer: 1, ...data }, more);

/** A time in the morning of a day: `"09:30"`. */
export const at = (time: string) => `2011-01-01T${time}:00.000Z`;

/** Each call is a message of its own, of the source of its first event. */
export const ingest = (bus: Bus, events: readonly PlatformEvent[], clock = at("00:00")) =>
  publishAll(
    bus,
    encodeBatches(events, {
      subject: subject.ingested(events[0]!.source),
      headers: { [HEADER.project]: "shop", [HEADER.clock]: clock },
    }).map((message) => ({ ...message, messageId: crypto.randomUUID() })),
  );

/** A message of a replay. */
export const replay = (
  bus: Bus,
  events: readonly PlatformEvent[],
  { run, to = "all" }: { run: string; to?: ReplayTarget },
) =>
  publishAll(
    bus,
    encodeBatches(events, {
      subject: subject.replay(run, events[0]!.source),
      headers: { [HEADER.project]: "shop", [HEADER.run]: run, [HEADER.replayTo]: to },
    }).map((message) => ({ ...message, messageId: crypto.randomUUID() })),
  );

/** The messages of a stream, read. */
export async function messagesOf(bus: Bus, stream: StreamRow) {
  const messages = await storedMessages(bus, stream.name);
  return messages.map(({ seq, subject, data, header }) => ({
    subject,
    clock: header?.get(HEADER.clock),
    project: header?.get(HEADER.project),
    run: header?.get(HEADER.run),
    body: new TextDecoder().decode(data),
    events: decodeBatch({
      subject,
      name: subject.split(".").at(-1)!,
      stream: stream.name,
      sequence: seq,
      data,
      headers: {},
      receivedAt: "2026-01-01T00:00:00.000Z",
      redelivered: false,
    }),
  }));
}

export const cleaned = (bus: Bus) => messagesOf(bus, STREAM.clean);

/** What is clean of a source; what a replay retracts is left out. */
export const cleanEvents = async (bus: Bus, source = "orders") =>
  (await cleaned(bus)).flatMap(({ events }) => events)
    .filter((event) => event.source === source && !event.retracted);

/** Waits for the clean events of a source: `<id> <what>` of each, sorted. */
export async function eventuallyClean(
  bus: Bus,
  expected: readonly string[],
  show: (event: PlatformEvent) => string = ({ id }) => id,
  source = "orders",
): Promise<void> {
  await eventually(async () =>
    assertEquals((await cleanEvents(bus, source)).map(show).sort(), [...expected].sort())
  );
}

/** Waits until so many records were received. @returns the counts */
export const counted = (
  service: TestService,
  received: number,
  { source = "orders", run }: { source?: string; run?: string } = {},
) =>
  eventually(async () => {
    const { sources: [counts] } = await service.call(contract.counts, {
      source,
      ...(run === undefined ? {} : { run }),
    });
    assertEquals(counts?.received, received);
    return counts!;
  });

/** Those counts that are not 0, of a reply. */
export function notZero(counts: contract.CleaningCounts): Record<string, number> {
  return Object.fromEntries(
    Object.entries(counts).filter((entry): entry is [string, number] =>
      typeof entry[1] === "number" && entry[1] !== 0
    ),
  );
}
