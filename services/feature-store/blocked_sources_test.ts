import { assertEquals, assertRejects } from "@std/assert";
import { bucketPut, bucketRemove } from "shared/bus/bucket.ts";
import { publishAll } from "shared/bus/publisher.ts";
import type { Block } from "shared/contracts/data_preprocessing.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import type { TestService } from "shared/testing/service.ts";
import { eventually } from "shared/testing/poll.ts";
import {
  countsOf,
  day,
  defineShop,
  history,
  project,
  publishLines,
  setClock,
  startFeatureStore,
} from "./testing/shop.ts";
import { reachOf } from "./blocked_sources.ts";

const block = (source: string, since: number): Block => ({
  source,
  project,
  since: day(since),
  at: "2026-01-01T00:00:00.000Z",
  reasons: ["/amount must be at least 0, not -1"],
  held: 3,
});

const ask = (service: TestService, to?: number, options: { idempotencyKey?: string } = {}) =>
  service.call(contract.buildTrainingSet, {
    project,
    entity: "customer",
    featureService: { name: "churn" },
    spine: { source: "invoice_lines", every: "P7D", activeWithin: "P14D" },
    label: { source: "invoice_lines", aggregate: "exists", within: "P7D" },
    ...(to === undefined ? {} : { to: day(to) }),
  }, options);

Deno.test("a training set is refused that reaches what is held, until it is released", async () => {
  await using service = await startFeatureStore();
  const { bus } = service;
  await defineShop(service);
  await publishLines(bus, history(2, 3));
  await eventually(async () => assertEquals((await countsOf(service)).records, 6));
  await setClock(bus, day(140));
  const accepted = await ask(service, undefined, { idempotencyKey: "before" });
  const put = (one: Block) =>
    publishAll(bus, [bucketPut(BUCKET.blocks, one.source, one, crypto.randomUUID())]);
  await put(block("invoice_lines", 100));
  await put(block("visits", 0));
  const refusal = await eventually(() => assertRejects(() => ask(service), AppError, "is held since"));
  assertEquals(refusal.code, "conflict");
  assertEquals(await ask(service, undefined, { idempotencyKey: "before" }), accepted);
  assertEquals(refusal.reasons.map(({ message }) => message), [
    `"invoice_lines" is held since ${day(100)} (/amount must be at least 0, not -1)`,
  ]);
  // Its labels look at the time from which on it is held.
  await assertRejects(() => ask(service, 93), AppError, "is held since");
  await ask(service, 92);
  await publishAll(bus, [bucketRemove(BUCKET.blocks, "invoice_lines", crypto.randomUUID())]);
  await ask(service);
});

Deno.test("reachOf() gives each source its own end", () => {
  const reach = (to: number | null, withinMs: number) => [
    ...reachOf(["lines", "visits"], {
      to: to === null ? null : day(to),
      clock: day(10),
      label: { source: "lines", withinMs },
    }).values(),
  ];
  assertEquals(reach(null, 86_400_000), [day(10), day(10)]);
  assertEquals(reach(5, 86_400_000), [day(6), day(5)]);
  assertEquals(reach(9, 2 * 86_400_000), [day(10), day(9)]);
  assertEquals(reach(20, 0), [day(10), day(10)]);
});
