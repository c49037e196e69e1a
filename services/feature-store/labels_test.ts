import { assert, assertEquals, assertRejects } from "@std/assert";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import { storedEvents } from "shared/testing/streams.ts";
import { forgetLabels } from "./forget_labels.ts";
import {
  countsOf,
  day,
  defineShop,
  history,
  line,
  project,
  publishLines,
  setClock,
  startFeatureStore,
} from "./testing/shop.ts";
import { build, load } from "./testing/training_set.ts";

const body = {
  entity: "customer",
  spine: { source: "invoice_lines", where: "!e.cancelled", every: "P7D", activeWithin: "P14D" },
  label: { source: "invoice_lines", aggregate: "sum", field: "amount", within: "P7D" },
} as const;

const declare = (service: TestService, changes: Partial<contract.ModelLabelBody> = {}) =>
  service.call(contract.putLabel, { project, name: "churn", body: { ...body, ...changes } });

type LabelEvent = PlatformEvent<contract.LabelRecord>;
const published = (service: Pick<TestService, "bus">) =>
  storedEvents<contract.LabelRecord>(service.bus, STREAM.labels);

/** The newest revision of each, as `id -> value`. */
function newest(events: readonly LabelEvent[]): Record<string, unknown> {
  const ordered = events.toSorted((a, b) => a.definition - b.definition);
  return Object.fromEntries(ordered.map(({ id, data }) => [id, data.value]));
}

const maturedUntil = async (service: TestService) =>
  (await service.call(contract.labelProgress, { model: "churn" })).maturedUntil;

/** What a training set with the same spine and label says. */
async function labelsOfTrainingSet(service: TestService): Promise<Record<string, number>> {
  const asked = { project, featureService: { name: "churn" }, immature: "drop", ...body } as const;
  const { entities, times, labels } = await load(service, await build(service, asked));
  return Object.fromEntries(
    entities.map((key, row) => [`${key}@${new Date(times[row]!).toISOString()}`, labels[row]!]),
  );
}

Deno.test("labels are published as they mature, each once, with what a training set says of them", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await publishLines(service.bus, history(130, 6));
  await eventually(async () => assertEquals((await countsOf(service)).records, 130 * 6));
  await setClock(service.bus, day(80));
  await declare(service);
  await eventually(async () => assertEquals(await maturedUntil(service), day(70)));
  await setClock(service.bus, day(200));
  await eventually(async () => assertEquals(await maturedUntil(service), day(189)));
  const expected = await labelsOfTrainingSet(service);
  const events = await eventually(async () => {
    const events = await published(service);
    assertEquals(events.length, Object.keys(expected).length);
    return events;
  });
  assertEquals(newest(events), expected);
  const [{ data, ...envelope }] = events as [LabelEvent];
  assertEquals([envelope.source, envelope.type, envelope.definition], ["churn", "microml.label.v1", 1]);
  assertEquals(data.maturedAt, new Date(Date.parse(envelope.time) + 7 * 86_400_000).toISOString());
  assertEquals([typeof data.entity["customer_id"], data.corrects, data.labelVersion], ["number", null, 1]);
});

Deno.test("a record that comes late gives a new revision of the labels that it changes, and of no others", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const lines = [1, 2].flatMap((customer_id) =>
    [0, 10].map((at) =>
      line({ customer_id, amount: 1, cancelled: false }, { id: `${customer_id}-${at}`, at })
    )
  );
  await publishLines(service.bus, lines);
  await eventually(async () => assertEquals((await countsOf(service)).records, 4));
  await setClock(service.bus, day(30));
  await declare(service);
  await eventually(async () => assertEquals(await maturedUntil(service), day(21)));
  const before = await eventually(async () => {
    const events = await published(service);
    assertEquals(events.length, 8);
    return events;
  });
  await publishLines(service.bus, [
    line({ customer_id: 2, amount: 5, cancelled: true }, { id: "late", at: 9, knownAt: 29 }),
  ]);
  const events = await eventually(async () => {
    const events = await published(service);
    assertEquals(events.length, 9);
    return events;
  });
  const { time, definition, data } = events.at(-1)!;
  assertEquals([time, definition, data.corrects, data.value], [day(7), 2, 1, 6]);
  assertEquals(data.entity, { customer_id: 2 });
  assertEquals(newest(before)[`["2"]@${day(7)}`], 1);
  assertEquals(newest(events), await labelsOfTrainingSet(service));
  const { corrections } = await service.call(contract.labelProgress, { model: "churn" });
  assertEquals(corrections, 1);
});

Deno.test("a record that is taken back gives a new revision of the labels that it was part of", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await publishLines(service.bus, [
    line({ customer_id: 1, amount: 1, cancelled: false }, { id: "1", at: 0 }),
    line({ customer_id: 1, amount: 2, cancelled: false }, { id: "2", at: 3 }),
  ]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 2));
  await setClock(service.bus, day(30));
  await declare(service);
  await eventually(async () => assertEquals(await maturedUntil(service), day(21)));
  assertEquals(
    (await eventually(async () => {
      const events = newest(await published(service));
      assertEquals(Object.keys(events).length, 3);
      return events;
    }))[`["1"]@${day(0)}`],
    2,
  );
  await publishLines(service.bus, [{ ...line({}, { id: "2", at: 3, knownAt: 29 }), retracted: true }]);
  await eventually(async () => assertEquals(newest(await published(service))[`["1"]@${day(0)}`], 0));
});

Deno.test("another definition publishes only what it changes", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await publishLines(service.bus, [
    line({ customer_id: 1, amount: 1, cancelled: false }, { id: "1", at: 0 }),
    line({ customer_id: 1, amount: 2, cancelled: true }, { id: "2", at: 3 }),
  ]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 2));
  await setClock(service.bus, day(30));
  await declare(service);
  await eventually(async () => assertEquals((await published(service)).length, 2));
  await declare(service, { label: { ...body.label, where: "!e.cancelled" } });
  const events = await eventually(async () => {
    const events = await published(service);
    assertEquals(events.length, 3);
    return events;
  });
  const { time, definition, data } = events.at(-1)!;
  assertEquals([time, definition, data.value, data.labelVersion], [day(0), 2, 0, 2]);
});

Deno.test("copies of the service publish each label once, also when one of them ends in the middle", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("feature-store");
  await using first = await startFeatureStore({ bus, databaseUrl: database.url });
  const second = await startFeatureStore({ bus, databaseUrl: database.url });
  await defineShop(first);
  await publishLines(bus, history(450, 3));
  await eventually(async () => assertEquals((await countsOf(first)).records, 1_350));
  await setClock(bus, day(200));
  await declare(first);
  await eventually(async () => assert((await published(first)).length > 0));
  await second.stop();
  const expected = await labelsOfTrainingSet(first);
  await eventually(async () => {
    const events = await published(first);
    assertEquals(newest(events), expected);
    assertEquals(new Set(events.map(({ id }) => id)).size, events.length, "none came twice");
  });
});

Deno.test("labels of long ago are forgotten: neither corrected nor published again, and all others are", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const paid = { customer_id: 1, amount: 1, cancelled: false };
  await publishLines(service.bus, [0, 7, 14, 21].map((at) => line(paid, { id: `${at}`, at })));
  await eventually(async () => assertEquals((await countsOf(service)).records, 4));
  await setClock(service.bus, day(40));
  await declare(service, { spine: { ...body.spine, activeWithin: "P7D" } });
  await eventually(async () => assertEquals((await published(service)).length, 4));
  await forgetLabels(service.db, { keepDays: 14 });
  const { forgottenUntil } = await service.call(contract.labelProgress, { model: "churn" });
  assertEquals([await maturedUntil(service), forgottenUntil], [day(28), day(14)]);
  assertEquals([...await service.db`select at from published_labels`], [{ at: day(21) }]);

  // Late records change labels on both sides of that, and so does another definition.
  await publishLines(service.bus, [
    line({ ...paid, amount: 5 }, { id: "late-5", at: 5, knownAt: 39 }),
    line({ ...paid, amount: 5 }, { id: "late-25", at: 25, knownAt: 39 }),
  ]);
  const news = async () =>
    (await published(service)).slice(4).map(({ time, data }) => [time, data.value, data.corrects]);
  await eventually(async () => assertEquals(await news(), [[day(21), 5, 1]]));
  await declare(service, {
    spine: { ...body.spine, activeWithin: "P7D" },
    label: { source: "invoice_lines", aggregate: "count", within: "P7D" },
  });
  await eventually(async () => {
    const { version, maturedUntil } = await service.call(contract.labelProgress, { model: "churn" });
    assertEquals([version, maturedUntil], [2, day(28)]);
  });
  await eventually(async () => assertEquals(await news(), [[day(21), 5, 1], [day(21), 1, 2]]));
});

Deno.test("a label that can't be computed is refused, with every reason", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const error = await assertRejects(
    () =>
      service.call(contract.putLabel, {
        project,
        name: "churn",
        body: {
          entity: "customer",
          spine: { source: "visits", each: "event" },
          label: { source: "invoice_lines", aggregate: "exists", where: "e.(", within: "P0D" },
        },
      }),
    AppError,
  );
  assertEquals(error.reasons.map(({ path }) => path), ["/spine/source", "/label/within", "/label/where"]);
});
