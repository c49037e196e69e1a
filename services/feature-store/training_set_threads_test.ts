import { assert, assertEquals } from "@std/assert";
import * as contract from "shared/contracts/feature_store.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import { CONNECTION_NAME } from "./training_set_connection.ts";
import { countsOf, day, line, project, publishLines, setClock, startFeatureStore } from "./testing/shop.ts";
import { build, ended, load, type TrainingSetAsked } from "./testing/training_set.ts";

const CUSTOMERS = 40;
const LINES_OF_EACH = 50;
const EVENTS = CUSTOMERS * LINES_OF_EACH;

/** With them there is work for three threads in what follows. */
const smallShares = { TRAINING_SET_THREAD_VALUES: "100000" };

/** Counts over many windows, and values of every type. */
const wide = {
  entity: "customer",
  source: "invoice_lines",
  features: {
    ...Object.fromEntries(
      Array.from({ length: 150 }, (_, hours) => [
        `lines_${hours}`,
        { aggregate: "count" as const, window: `PT${hours + 1}H` },
      ]),
    ),
    spend: { aggregate: "sum", field: "amount", window: null },
    channel: { aggregate: "last", field: "channel", window: null },
    gift: { aggregate: "last", field: "gift", window: null },
    mixed: { aggregate: "last", field: "mixed", window: null },
  },
} as const;
const features = Object.keys(wide.features).map((name) => `wide.${name}`);

/** A field holds numbers of the first customers, and text of the last ones. */
const lines = Array.from({ length: EVENTS }, (_, index) => {
  const customer = index % CUSTOMERS;
  const noise = (index * 7_919) % 1_009;
  return line({
    customer_id: customer,
    amount: noise / 100,
    channel: `channel ${noise % 7}`,
    gift: noise % 3 === 0,
    mixed: customer < 20 ? noise : `${noise % 13}`,
  }, { id: `${index}`, at: noise / 10, knownAt: noise / 10 + noise % 3 });
});

async function defineWide(service: TestService): Promise<void> {
  const body = { keys: { customer_id: "integer" as const } };
  await service.call(contract.putEntity, { project, name: "customer", body });
  await service.call(contract.putView, { project, name: "wide", body: wide });
  await service.call(contract.putFeatureService, { project, name: "wide", body: { features } });
  await publishLines(service.bus, lines);
  await eventually(async () => assertEquals((await countsOf(service)).records, EVENTS));
  await setClock(service.bus, day(120));
}

const parts = { project, entity: "customer", featureService: { name: "wide" } } as const;
const ofEvents: TrainingSetAsked = {
  ...parts,
  spine: { source: "invoice_lines", each: "event" },
  label: { source: "invoice_lines", aggregate: "next", field: "channel", within: "P7D" },
};
const ofRows: TrainingSetAsked = {
  ...parts,
  spine: {
    rows: lines.map(({ data }, row) => ({
      customer_id: data["customer_id"],
      t: day(row * 37 % 110),
      note: row % 5,
    })),
    carry: ["note"],
  },
};

Deno.test("a training set has the same bytes and statistics whatever the number of threads", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("feature-store");
  const made = new Map<string, Set<string>>();
  for (const threads of ["1", "2", "3"]) {
    const env = { ...smallShares, TRAINING_SET_THREADS: threads };
    await using service = await startFeatureStore({ bus, databaseUrl: database.url, env });
    if (threads === "1") await defineWide(service);
    for (const [name, request] of Object.entries({ ofEvents, ofRows })) {
      const { id, result, error } = await build(service, request);
      assertEquals([error, result?.rows], [null, EVENTS]);
      const { position: _, ...manifest } = result!.manifest;
      const { columns } = await service.call(contract.trainingSetStatistics, { id, limit: 1_000 });
      const all = JSON.stringify([result!.sha256, result!.immature, manifest, columns]);
      made.set(name, (made.get(name) ?? new Set()).add(all));
    }
  }
  assertEquals([...made].map(([name, different]) => [name, different.size]), [["ofEvents", 1], [
    "ofRows",
    1,
  ]]);
});

Deno.test("a training set of several threads is refused when all their rows are too many", async () => {
  // Each of two threads alone would stay below it.
  const TRAINING_SET_MAX_VALUES = String(EVENTS * features.length - 1);
  await using service = await startFeatureStore({
    env: { ...smallShares, TRAINING_SET_THREADS: "2", TRAINING_SET_MAX_VALUES },
  });
  await defineWide(service);
  const { error } = await build(service, ofEvents);
  assert(error?.includes(`it has more than ${EVENTS - 1} rows of ${features.length} features`), `${error}`);
});

Deno.test("a training set that is cancelled leaves no thread behind", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db, url: databaseUrl } = database;
  await using service = await startFeatureStore({
    databaseUrl,
    env: { ...smallShares, TRAINING_SET_THREADS: "2" },
  });
  await defineWide(service);
  const readers = async (waiting: boolean) =>
    (await db`
      select from pg_stat_activity
      where datname = current_database() and application_name = ${CONNECTION_NAME}
        and (wait_event_type = 'Lock' or not ${waiting})`).length;

  // Nobody reads a record while this is open.
  const { id } = await db.begin(async (tx) => {
    await tx`lock table records in access exclusive mode`;
    const { id } = await service.call(contract.buildTrainingSet, ofRows);
    await eventually(async () => assertEquals(await readers(true), 2));
    await service.call(contract.cancelTrainingSet, { id });
    return { id };
  });
  await eventually(async () => assertEquals(await readers(false), 0));
  assertEquals((await ended(service, id)).status, "cancelled");
  const few = await build(service, { ...parts, spine: { rows: [{ customer_id: 1, t: day(50) }] } });
  assertEquals((await load(service, few)).entities, ['["1"]']);
});
