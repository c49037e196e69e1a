/**
 * `clean`: how fast events come from their publisher through data-ingestion and data-preprocessing, while they are
 * being published on the same machine, beside `\\copy` of the same rows into the table of stored events.
 *
 * @module
 */
import type { z } from "zod";
import { call } from "shared/bus/endpoints.ts";
import { publishAll } from "shared/bus/publisher.ts";
import type { cleaningBodySchema } from "shared/contracts/cleaning.ts";
import * as preprocessing from "shared/contracts/data_preprocessing.ts";
import { delay } from "shared/delay.ts";
import { startBenchStack } from "./bench_stack.ts";
import { type Bench, type BenchOptions, type BenchResult, inTurn } from "./harness.ts";
import { copy, EVENT_BYTES, Intake, MANY } from "./ingest.ts";
import { findPsql } from "./psql.ts";

const EVENTS = 150_000;
const POLL_MS = 20;

export const clean: Bench = {
  name: "clean",
  summary: "published to clean through both services, 6 steps and 4 expectations, beside psql's \\copy",
  run,
};

export const cleaning: z.input<typeof cleaningBodySchema> = {
  steps: [
    { step: "trim", fields: ["order", "note"] },
    { step: "cast", fields: ["at"], to: "instant" },
    { step: "fill", fields: { customer: 0 } },
    { step: "derive", field: "amount", expression: "double(e.quantity) * e.price" },
    { step: "filter", expression: "e.quantity >= 0", reason: "no quantity" },
    { step: "rename", fields: { order: "order_id", at: "ordered_at" } },
  ],
  expectations: [
    { expect: "not_null", fields: ["order_id", "ordered_at"], action: "quarantine" },
    { expect: "range", field: "quantity", min: 0, max: 1_000, action: "quarantine" },
    { expect: "pattern", field: "order_id", pattern: "^order-[0-9]+$", action: "warn" },
    { expect: "row", expression: "e.amount >= 0.0", message: "an amount is positive", action: "warn" },
  ],
};

async function run({ rounds, scale, say }: BenchOptions): Promise<BenchResult> {
  await using bench = await startBenchStack(["data-ingestion", "data-preprocessing"], { say });
  const { bus } = bench;
  const events = Math.max(2 * MANY, Math.round(EVENTS * scale));
  const intake = new Intake(bench, bench.database("data-ingestion"), events);
  await intake.declare();
  await call(bus, preprocessing.putCleaning, { project: "bench", name: "orders", body: cleaning });

  const cleaned = async () => {
    const { sources } = await call(bus, preprocessing.counts, { source: "orders" });
    return sources[0]?.clean ?? 0;
  };
  const publishedToClean = async () => {
    await intake.empty();
    const before = await cleaned();
    // A publisher that lives on the same machine, and need not make up its events at the same time.
    const messages = intake.messages(MANY);
    const startedAt = performance.now();
    await publishAll(bus, messages);
    while (await cleaned() < before + events) await delay(POLL_MS);
    return { per_second: events / (performance.now() - startedAt) * 1_000 };
  };
  const psql = await findPsql(bench, "data-ingestion");
  const { both, copied } = await inTurn({
    both: publishedToClean,
    ...(psql === undefined ? {} : { copied: () => copy(psql, intake, bench.folder) }),
  }, { rounds, say });
  const figures = {
    events,
    event_bytes: EVENT_BYTES,
    clean_events_per_second: both!["per_second"]!,
  };
  const notes = [
    `${MANY} events a message, published as fast as they are acknowledged`,
    ...await bench.describe(),
  ];
  if (copied === undefined) {
    return { ratios: {}, figures, notes: [...notes, "psql is not there: no ceiling was measured"] };
  }
  const ceiling = copied["per_second"]!;
  const alone = copied["events_alone_per_second"]!;
  return {
    ratios: {
      psql_copy: figures.clean_events_per_second / ceiling,
      psql_copy_events_alone: figures.clean_events_per_second / alone,
    },
    figures: {
      ...figures,
      psql_copy_events_per_second: ceiling,
      psql_copy_events_alone_per_second: alone,
    },
    notes,
  };
}
