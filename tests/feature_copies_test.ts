/**
 * Two copies of feature-store share a stream, and one or the other is killed again and again: every value is what a store
 * that nobody disturbed gives. The same events go to both stores: late ones, repeated ones, newer versions, some that
 * take others back; a view is changed and labels mature meanwhile.
 *
 * `MICROML_KILLS` says how many kills there are, `MICROML_SEED` which.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { nanos } from "nats";
import { call } from "shared/bus/endpoints.ts";
import type { Bus } from "shared/bus/connection.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import { freePort } from "shared/infra/ports.ts";
import { makeTestFolder } from "shared/infra/test_folder.ts";
import { startTestBus, type TestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { seededRandom, shuffled } from "shared/testing/random.ts";
import { everythingIsAcknowledged, storedEvents } from "shared/testing/streams.ts";
import { readTrainingSet } from "shared/training_set_file.ts";
import { SERVICES } from "../scripts/services.ts";
import { type ServiceProcess, spawnService, waitUntilReady } from "../scripts/service_process.ts";
import {
  day,
  line,
  type LineOptions,
  orders,
  project,
  publishLines,
  setClock,
  startFeatureStore,
} from "../services/feature-store/testing/shop.ts";

const KILLS = Number(Deno.env.get("MICROML_KILLS") || 3);
const SEED = Number(Deno.env.get("MICROML_SEED") || 20110502);

const CUSTOMERS = 60;
const LINES_A_PART = 600;
const DURABLE = { stream: STREAM.clean, durable: "feature-store" } as const;

const visits = {
  entity: "customer",
  source: "page_views",
  ttl: "P60D",
  features: {
    visits_7d: { aggregate: "count", window: "P7D" },
    pages: { aggregate: "distinct_count", field: "page", exactUpTo: 5, window: "P90D" },
    favourite: { aggregate: "most_frequent", field: "page", window: null },
    last: { aggregate: "last", field: "page", window: null },
    lines_a_visit: { expression: 'f["orders.lines_30d"] / f.visits_7d' },
  },
} as const;

const observed = {
  entity: "customer",
  spine: { source: "invoice_lines", every: "P7D", activeWithin: "P14D" },
  label: { source: "invoice_lines", aggregate: "sum", field: "amount", within: "P7D" },
} as const;

const features = [
  ...["lines_30d", "spend", "deviation", "since_last", "mean_30d", "largest"].map((name) => `orders.${name}`),
  ...Object.keys(visits.features).map((name) => `visits.${name}`),
];

/** What one part of the events says: what came before is repeated, corrected and taken back now and then. */
function eventsOf(part: number, random: () => number): PlatformEvent[] {
  const pick = (below: number) => Math.floor(below * random());
  const events: PlatformEvent[] = [];
  for (let index = 0; index < LINES_A_PART; index++) {
    const at = pick(1_400) / 10;
    const options: LineOptions = {
      id: `${part}-${index}`,
      at,
      knownAt: random() < 0.2 ? at + pick(100) / 10 : at,
    };
    const customer_id = pick(CUSTOMERS);
    if (index % 3 === 0) {
      events.push(line({ customer_id, page: `p${pick(9)}` }, { ...options, source: "page_views" }));
      continue;
    }
    const data = { customer_id, amount: pick(10_000) / 100, cancelled: random() < 0.1 };
    const made = line(data, options);
    events.push(made);
    const next = { ...options, knownAt: (options.knownAt ?? at) + 1, definition: 2 };
    if (index % 20 === 1) events.push(made);
    if (index % 20 === 2) events.push(line({ ...data, amount: 1 }, next));
    if (index % 20 === 4) events.push(line({ ...data, customer_id: pick(CUSTOMERS) }, next));
    if (index % 20 === 5) events.push({ ...line({}, next), retracted: true });
  }
  return shuffled(events, random);
}

/** Puts all definitions; again with another version of a view. */
async function define(bus: Bus): Promise<void> {
  await call(bus, contract.putEntity, {
    project,
    name: "customer",
    body: { keys: { customer_id: "integer" } },
  });
  await call(bus, contract.putView, { project, name: "orders", body: withLargest("P7D") });
  await call(bus, contract.putView, { project, name: "visits", body: visits });
  await call(bus, contract.putFeatureService, { project, name: "churn", body: { features } });
  await call(bus, contract.putLabel, { project, name: "churn", body: observed });
}

const withLargest = (window: string) => ({
  ...orders,
  features: { ...orders.features, largest: { aggregate: "max" as const, field: "amount", window } },
});

const redefine = (bus: Bus) =>
  call(bus, contract.putView, { project, name: "orders", body: withLargest("P30D") });

/** Publishes a part in many messages, in the order of its events. */
async function publishPart(bus: Bus, events: readonly PlatformEvent[]): Promise<void> {
  for (let first = 0; first < events.length; first += 15) {
    await publishLines(bus, events.slice(first, first + 15));
  }
}

/** Everything that is asked of a store once all is applied. */
async function outcomeOf(bus: Bus, duringBuild: () => Promise<void> = () => Promise.resolve()) {
  await eventually(() => everythingIsAcknowledged(bus, DURABLE), { timeoutMs: 60_000 });
  await eventually(async () => {
    const { versions } = await call(bus, contract.viewVersions, {});
    assertEquals(versions.map(({ status }) => status), ["ready", "ready", "ready"]);
  }, { timeoutMs: 60_000 });
  const { id } = await call(bus, contract.buildTrainingSet, {
    ...{ project, featureService: { name: "churn" }, immature: "drop" },
    ...observed,
  });
  await duringBuild();
  const { status, result } = await eventually(async () => {
    const trainingSet = await call(bus, contract.getTrainingSet, { id });
    assert(!["queued", "running"].includes(trainingSet.status), trainingSet.status);
    return trainingSet;
  }, { timeoutMs: 60_000 });
  assertEquals(status, "done");
  const answers = [];
  for (const at of [20, 60, 100, 150]) {
    const { rows, views } = await call(bus, contract.online, {
      features: { service: "churn" },
      entities: Array.from({ length: CUSTOMERS }, (_, customer_id) => ({ customer_id })),
      asOf: day(at),
    });
    answers.push({ at, rows, views });
  }
  const { sources } = await call(bus, contract.counts, {});
  // What is taken back before it came is no record: how many were one at some time goes by the order of the messages.
  const received = sources.map(({ source, received, refused }) => ({ source, received, refused }));
  return { received, answers, trainingSet: { sha256: result!.sha256, rows: result!.rows } };
}

/** The newest value of each label that was published, by entity and T. */
async function publishedLabels(bus: Bus): Promise<Map<string, unknown>> {
  const events = await storedEvents<contract.LabelRecord>(bus, STREAM.labels);
  const names = events.map(({ id, definition }) => `${id} ${definition}`);
  assertEquals(new Set(names).size, names.length, "no label came twice");
  const ordered = events.toSorted((a, b) => a.definition - b.definition);
  return new Map(ordered.map(({ id, data }) => [id, data.value]));
}

/** The labels of a training set, in the same form. */
async function learntLabels(bus: Bus, { sha256 }: { sha256: string }): Promise<Map<string, unknown>> {
  const { entities, times, labels } = await readTrainingSet(await bus.files.get(sha256));
  return new Map(entities.map((key, row) => [`${key}@${toInstant(times[row]!)}`, labels[row]]));
}

/** A copy of the service as a process, which can be killed and started again. */
class Copy implements AsyncDisposable {
  readonly #bus: TestBus;
  readonly #databaseUrl: string;
  readonly #logFile: string;
  #process: ServiceProcess | undefined;

  constructor(bus: TestBus, { databaseUrl, logFile }: { databaseUrl: string; logFile: string }) {
    this.#bus = bus;
    this.#databaseUrl = databaseUrl;
    this.#logFile = logFile;
  }

  get isAlive(): boolean {
    return this.#process !== undefined;
  }

  async start(): Promise<void> {
    const port = freePort();
    this.#process = await spawnService(SERVICES.find(({ name }) => name === "feature-store")!, {
      env: {
        NATS_URL: this.#bus.url,
        DATABASE_URL: this.#databaseUrl,
        HTTP_PORT: String(port),
        TRAINING_SET_LEASE_SECONDS: "1",
        LOG_LEVEL: "warn",
      },
      logFile: this.#logFile,
    });
    const url = `http://127.0.0.1:${port}`;
    await waitUntilReady("feature-store", this.#process, { url, logFile: this.#logFile, timeoutMs: 60_000 });
    // What the killed one had in its hands need not be waited for: it comes again after a second, not half a minute.
    await this.#bus.jsm.consumers.update(STREAM.clean.name, DURABLE.durable, { ack_wait: nanos(1_000) });
  }

  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    process?.kill("SIGKILL");
    await process?.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process?.kill("SIGTERM");
    await this.#process?.ended;
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test(`two copies of feature-store, one killed at random ${KILLS} times (seed ${SEED}), give what one undisturbed gives`, async () => {
  const random = seededRandom(SEED);
  const parts = Array.from({ length: KILLS + 1 }, (_, part) => eventsOf(part, random));
  const halfway = parts.length >> 1;

  await using calmBus = await startTestBus();
  await using _calm = await startFeatureStore({ bus: calmBus });
  await define(calmBus);
  await setClock(calmBus, day(150));
  for (const [index, part] of parts.entries()) {
    if (index === halfway) await redefine(calmBus);
    await publishPart(calmBus, part);
  }
  const expected = await outcomeOf(calmBus);
  assert(expected.trainingSet.rows > 500, String(expected.trainingSet.rows));

  await using bus = await startTestBus();
  await using database = await createTestDatabase("feature-store");
  await using folder = await makeTestFolder();
  const [first, second] = [1, 2].map((number) =>
    new Copy(bus, { databaseUrl: database.url, logFile: `${folder.path}/copy-${number}.log` })
  ) as [Copy, Copy];
  await using _first = first;
  await using _second = second;
  await Promise.all([first.start(), second.start()]);
  await define(bus);
  await setClock(bus, day(150));
  for (const [index, part] of parts.entries()) {
    if (index === halfway) await redefine(bus);
    const publishing = publishPart(bus, part);
    if (index < KILLS) {
      // One that was left dead comes back before the other is killed.
      for (const copy of [first, second]) if (!copy.isAlive) await copy.start();
      await pause(random() * 400);
      const victim = random() < 0.5 ? first : second;
      await victim.kill();
      if (random() < 0.5) await victim.start();
    }
    await publishing;
  }
  const actual = await outcomeOf(bus, async () => {
    for (const copy of [first, second]) if (!copy.isAlive) await copy.start();
    await (random() < 0.5 ? first : second).kill();
  });
  assertEquals(actual.answers, expected.answers);
  assertEquals(actual, expected);
  const labels = await learntLabels(calmBus, expected.trainingSet);
  await eventually(async () => {
    const published = await publishedLabels(bus);
    // What was published of an entity that turned out not to have been active stays, too.
    const ofRows = new Map([...labels.keys()].map((name) => [name, published.get(name)]));
    assertEquals(ofRows, labels);
  }, { timeoutMs: 60_000 });
});
