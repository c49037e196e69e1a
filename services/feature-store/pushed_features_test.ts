/** What does not come with clean events counts in training sets as it does online: pushes, and values of a request. */
import { assertEquals, assertRejects } from "@std/assert";
import * as contract from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import {
  countsOf,
  day,
  defineShop,
  line,
  orderFeatures,
  project,
  publishLines,
  putBaskets,
  setClock,
  startFeatureStore,
} from "./testing/shop.ts";
import { build, learnt } from "./testing/training_set.ts";

const parts = { project, entity: "customer", featureService: { name: "churn" } } as const;

/** Customer 1 bought for 2 at day 0. The clock stands at day 14. */
async function startShop(): Promise<TestService> {
  const service = await startFeatureStore();
  await defineShop(service);
  await publishLines(service.bus, [
    line({ customer_id: 1, amount: 2, cancelled: false }, { id: "1", at: 0 }),
  ]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 1));
  await setClock(service.bus, day(14));
  await eventually(async () => {
    const { at } = await service.call(contract.online, {
      features: ["orders.spend"],
      entities: [{ customer_id: 1 }],
    });
    assertEquals(at, day(14));
  });
  return service;
}

Deno.test("features that were pushed count from when they were known, in training sets as online", async () => {
  await using service = await startShop();
  const values = { amount: 10, cancelled: false };
  await service.call(contract.push, {
    view: "orders",
    rows: [
      { entity: { customer_id: 1 }, values, time: day(9) },
      { entity: { customer_id: 2 }, values },
    ],
  });
  const spend = orderFeatures.indexOf("orders.spend");
  const expected = { then: [2, 2, 12, null, 10], now: [2, 12, 12, null, 10] };
  const rows = [
    { customer_id: 1, t: day(8) },
    { customer_id: 1, t: day(10) },
    { customer_id: 1, t: day(14) },
    { customer_id: 2, t: day(13) },
    { customer_id: 2, t: day(14) },
  ];
  for (const asKnown of ["then", "now"] as const) {
    const offline = await learnt(service, { ...parts, asKnown }, rows);
    assertEquals(offline.map((row) => row[spend]), expected[asKnown]);
    for (const [index, { customer_id, t }] of rows.entries()) {
      const { rows: [online] } = await service.call(contract.online, {
        features: { service: "churn" },
        entities: [{ customer_id }],
        asOf: t,
        asKnown,
      });
      assertEquals(online!.values, offline[index]!);
    }
  }
});

Deno.test("on-demand features take the values of a request from columns of the spine", async () => {
  await using service = await startShop();
  await putBaskets(service, {
    request: { basket: "number", channel: "string", member: "boolean" },
    features: {
      share: { expression: 'r.basket / f["orders.spend"]' },
      is_web: { expression: 'r.channel == "web"' },
      rebate: { expression: "r.member ? 0.5 * r.basket : r.basket" },
    },
  });
  const features = ["baskets.share", "baskets.is_web", "baskets.rebate", "orders.spend"];
  await service.call(contract.putFeatureService, { project, name: "shares", body: { features } });
  const asked = { ...parts, featureService: { name: "shares" } };
  const rows = [
    { customer_id: 1, t: day(12), basket: 3, channel: "web", member: true },
    { customer_id: 1, t: day(12), basket: 5, channel: "shop", member: false },
    { customer_id: 1, t: day(12), basket: null, channel: null, member: null },
    { customer_id: 7, t: day(12), basket: 4, channel: "web", member: true },
  ];
  const offline = await learnt(service, asked, rows);
  assertEquals(offline, [
    [1.5, true, 1.5, 2],
    [2.5, false, 5, 2],
    // Null is not "web".
    [null, false, null, 2],
    [null, true, 2, null],
  ]);
  const { rows: online } = await service.call(contract.online, {
    features: { service: "shares" },
    entities: rows.map(({ customer_id }) => ({ customer_id })),
    asOf: day(12),
    request: rows.map(({ basket, channel, member }) => ({ basket, channel, member })),
  });
  assertEquals(online.map(({ values }) => values), offline);

  // As a file everything is text.
  const csv = "t;customer_id;basket;channel;member\n" +
    rows.map(({ t, customer_id, basket, channel, member }) =>
      [t, customer_id, basket, channel, member].map((value) => value ?? "").join(";")
    ).join("\n");
  const sent = await fetch(`${service.url}/v1/spine-files`, { method: "POST", body: csv });
  const { sha256: file } = await sent.json();
  const spine = { file, format: "csv", delimiter: ";" } as const;
  const [inline, filed] = [
    await build(service, { ...asked, spine: { rows } }),
    await build(service, { ...asked, spine }),
  ];
  assertEquals([filed.error, filed.result?.sha256], [null, inline.result?.sha256]);

  const wrong = [{ ...rows[0]!, basket: "much" }, { ...rows[1]!, member: 1 }];
  const error = await assertRejects(
    () => service.call(contract.buildTrainingSet, { ...asked, spine: { rows: wrong } }),
    AppError,
  );
  assertEquals(error.reasons.map(({ path, message }) => `${path} ${message}`), [
    '/spine/rows/0/basket is "much": an on-demand feature reads a number, or null',
    "/spine/rows/1/member is 1: an on-demand feature reads a boolean, or null",
  ]);
  const declared = { ...asked, spine: { source: "invoice_lines", each: "event" } } as const;
  const refused = await assertRejects(() => service.call(contract.buildTrainingSet, declared), AppError);
  assertEquals(refused.reasons.map(({ path }) => path), ["/spine"]);
});
