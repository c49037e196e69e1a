/**
 * What processes and servers do when they are killed must not show in the counts, nor in the records.
 *
 * The time for which servers are away is short by default; `MICROML_AWAY_SECONDS=20` makes it long.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { call } from "shared/bus/endpoints.ts";
import type { Outgoing } from "shared/bus/message.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { ledger } from "shared/contracts/data_ingestion.ts";
import { counts as cleaningCounts } from "shared/contracts/data_preprocessing.ts";
import { counts as featureCounts } from "shared/contracts/feature_store.ts";
import { STREAM, subject } from "shared/contracts/streams.ts";
import { connectDatabase } from "shared/db/connection.ts";
import { silentLogger } from "shared/log.ts";
import { applyPlan } from "shared/project/apply.ts";
import { planProject } from "shared/project/plan.ts";
import { eventually } from "shared/testing/poll.ts";
import { seededRandom, shuffled } from "shared/testing/random.ts";
import retail from "../examples/online-retail/project.ts";
import { defineProject } from "microml";
import { type JourneyStack, startJourneyStack } from "./journey_stack.ts";
import { chooseCustomers, historyOf, recordsOf } from "./retail_slice.ts";

const AWAY_MS = Number(Deno.env.get("MICROML_AWAY_SECONDS") || 3) * 1_000;
const STAGES = ["data-ingestion", "data-preprocessing", "feature-store"] as const;
/** The same records, once under each of these sources. */
const SOURCES = ["undisturbed", "killed", "without_nats", "without_postgres"] as const;
type Source = typeof SOURCES[number];

const forEachSource = <Body>(body: (source: Source) => [string, Body]) =>
  Object.fromEntries(SOURCES.map(body));

const project = defineProject({
  project: "disturbances",
  clock: "event",
  sources: forEachSource((source) => [source, retail.sources["user_events"]!]),
  cleaning: forEachSource((source) => [source, retail.cleaning["user_events"]!]),
  entities: retail.entities,
  views: forEachSource((source) => [`${source}_orders`, { ...retail.views["customer_orders"]!, source }]),
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Messages to publish, with records that are rejected among them. */
async function messagesOf(source: Source): Promise<{ messages: Outgoing[]; records: number; bad: number }> {
  const loaded = (await historyOf(await chooseCustomers(200), { eventSource: source }))
    .filter((message) => message.source === source);
  const bad = ["{", '{"InvoiceNo": 1}', '{"InvoiceDate": "3000-01-01"}'].map((text, index): Outgoing => ({
    subject: subject.events(source),
    data: new TextEncoder().encode(text),
    messageId: `${source}:bad-${index}`,
  }));
  const messages = loaded.map(({ message }) => message);
  messages.splice(messages.length >> 1, 0, ...bad);
  return { messages, records: recordsOf(loaded, source), bad: bad.length };
}

/** What came of a source's records, as far as a disturbance must not change it: repeated deliveries may be seen. */
async function outcomeOf({ stack, bus }: JourneyStack, source: Source) {
  const [ingested, cleaned, applied] = await Promise.all([
    call(bus, ledger, { source }),
    call(bus, cleaningCounts, { source }),
    call(bus, featureCounts, {}),
  ]);
  const { accepted, pending, stored, rejected, duplicates, deadLettered } = ingested.sources[0]!;
  const { clean, filtered, quarantined, warned } = cleaned.sources[0]!;
  const { records, unused, refused } = applied.sources.find((row) => row.source === source)!;
  await using db = {
    sql: connectDatabase({ url: stack.databaseUrl("feature-store"), log: silentLogger, max: 1 }),
    [Symbol.asyncDispose]: () => db.sql.end(),
  };
  const [digest] = await db.sql`
    select count(*)::int as rows,
      md5(string_agg(concat_ws('|', id, entity_key, event_time, known_at, data::text), ';' order by id)) as md5
    from records where source = ${source}`;
  return {
    ledger: { accepted, pending, stored, rejected, duplicates, deadLettered },
    cleaning: { clean, filtered, quarantined, warned },
    features: { records, unused, refused },
    records: { rows: digest?.["rows"], md5: digest?.["md5"] },
  };
}

/** Waits until everything of a source went its way. */
async function settled(journey: JourneyStack, source: Source, records: number): Promise<void> {
  const { bus } = journey;
  await eventually(async () => {
    const { sources: [ingested] } = await call(bus, ledger, { source });
    assertEquals([ingested?.pending, ingested?.stored], [0, records]);
    const { sources: [cleaned] } = await call(bus, cleaningCounts, { source });
    const done = (cleaned?.clean ?? 0) + (cleaned?.filtered ?? 0) + (cleaned?.quarantined ?? 0);
    assertEquals(done, records);
    const { sources: applied } = await call(bus, featureCounts, {});
    assertEquals(applied.find((row) => row.source === source)?.records, cleaned?.clean);
  }, { timeoutMs: 90_000 });
}

Deno.test("counts and records are the same whoever is killed or away during the replay", async (t) => {
  const seed = Number(Deno.env.get("MICROML_SEED") || 20110502);
  const random = seededRandom(seed);
  await using journey = await startJourneyStack({ services: STAGES });
  const { stack, bus } = journey;
  // Nothing is in force yet, and not every owner runs.
  const { failed } = await applyPlan(bus, planProject(project, []), { actor: "test" });
  assertEquals(failed, []);

  const calm = await messagesOf("undisturbed");
  await publishAll(bus, calm.messages);
  await settled(journey, "undisturbed", calm.records);
  const expected = await outcomeOf(journey, "undisturbed");
  assertEquals(expected.ledger.rejected, calm.bad);
  assert(expected.records.rows > 8_000, String(expected.records.rows));

  await t.step(`kill -9 of each stage in turn (seed ${seed})`, async () => {
    const { messages, records } = await messagesOf("killed");
    const order = shuffled(STAGES, random);
    const share = Math.ceil(messages.length / order.length);
    for (const [index, stage] of order.entries()) {
      const part = messages.slice(index * share, (index + 1) * share);
      const first = Math.ceil(part.length * random());
      await publishAll(bus, part.slice(0, first));
      await pause(random() * 150);
      await stack.kill(stage);
      await publishAll(bus, part.slice(first));
      await stack.restart(stage);
    }
    await settled(journey, "killed", records);
    assertEquals(await outcomeOf(journey, "killed"), expected);
  });

  await t.step(`NATS is killed and stays away for ${AWAY_MS / 1_000} s`, async () => {
    const { messages, records } = await messagesOf("without_nats");
    const half = messages.length >> 1;
    await publishAll(bus, messages.slice(0, half));
    await stack.infra.nats.kill();
    const rest = publishAll(bus, messages.slice(half), { timeoutMs: AWAY_MS + 60_000 });
    await pause(AWAY_MS);
    await stack.infra.nats.restart();
    await rest;
    await settled(journey, "without_nats", records);
    assertEquals(await outcomeOf(journey, "without_nats"), expected);
  });

  await t.step(`PostgreSQL is killed and stays away for ${AWAY_MS / 1_000} s`, async () => {
    const { messages, records } = await messagesOf("without_postgres");
    const half = messages.length >> 1;
    await publishAll(bus, messages.slice(0, half));
    await stack.infra.postgres.kill();
    await publishAll(bus, messages.slice(half));
    await pause(AWAY_MS);
    await stack.infra.postgres.restart();
    await settled(journey, "without_postgres", records);
    assertEquals(await outcomeOf(journey, "without_postgres"), expected);
  });

  const { state } = await bus.jsm.streams.info(STREAM.deadletter.name);
  assertEquals(state.messages, 0);
});
