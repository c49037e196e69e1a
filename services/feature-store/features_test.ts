/** What online reads offer besides values: pushes, pages, positions, versions, request values. @module */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { bucketPut } from "shared/bus/bucket.ts";
import { encodeBatches } from "shared/bus/batch.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { HEADER } from "shared/contracts/envelope.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { BUCKET, subject } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import {
  countsOf,
  day,
  defineShop,
  line,
  orderFeatures,
  orders,
  project,
  publishLines,
  startFeatureStore,
} from "./testing/shop.ts";

const paid = (customer_id: number, amount: number) => ({ customer_id, amount, cancelled: false });

Deno.test("feature-store reads what was pushed, from the answer on, with what the stream brings", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await publishLines(service.bus, [line(paid(1, 2), { id: "1", at: 0 })]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 1));
  const spend = async () =>
    (await service.call(contract.online, { features: ["orders.spend"], entities: [{ customer_id: 1 }] }))
      .rows[0]!
      .values[0];
  for (let count = 1; count <= 5; count++) {
    const rows = [{ entity: { customer_id: 1 }, values: { amount: 10 } }];
    const pushed = await service.call(contract.push, { view: "orders", rows });
    assertEquals(pushed.stored, 1);
    assertEquals(await spend(), 2 + 10 * count);
  }
  const again = { view: "orders", rows: [{ entity: { customer_id: 1 }, values: { amount: 1 }, id: "once" }] };
  assertEquals((await service.call(contract.push, again)).stored, 1);
  assertEquals((await service.call(contract.push, again)).stored, 0);
  assertEquals(await spend(), 53);
  assertEquals(await countsOf(service), { received: 8, records: 7, unused: 0, duplicates: 1, refused: 0 });
});

Deno.test("feature-store refuses a push that names no entity, no view, or what no feature reads", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const push = (view: string, entity: Record<string, number>, values: Record<string, number>) =>
    assertRejects(() => service.call(contract.push, { view, rows: [{ entity, values }] }), AppError);
  assertEquals((await push("visits", { customer_id: 1 }, {})).code, "not_found");
  assert((await push("orders", { customer: 1 }, {})).message.includes("customer_id (integer)"));
  const unread = await push("orders", { customer_id: 1 }, { amont: 1 });
  assertEquals(unread.reasons[0]?.path, "/rows/0/values/amont");
  assert(unread.message.includes("amount, cancelled"), unread.message);
});

Deno.test("feature-store answers in pages what is more than a message holds, and at once over HTTP", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const features = Object.fromEntries(
    Array.from(
      { length: 40 },
      (_, index) => [`a_rather_long_name_of_a_feature_${index}`, orders.features.spend],
    ),
  );
  await service.call(contract.putView, { project, name: "wide", body: { ...orders, features } });
  const events = Array.from(
    { length: 700 },
    (_, index) => line(paid(index, index), { id: `${index}`, at: 0 }),
  );
  await publishLines(service.bus, events);
  await eventually(async () => assertEquals((await countsOf(service)).records, 700));
  const request = {
    features: Object.keys(features).map((name) => `wide.${name}`),
    entities: events.map(({ data }) => ({ customer_id: data["customer_id"] as number })),
    asOf: day(1),
  };
  const rows = [];
  let pages = 0;
  for (let from: number | null = 0; from !== null; pages++) {
    const page: Awaited<ReturnType<typeof read>> = await read(from);
    rows.push(...page.rows);
    from = page.next;
  }
  function read(from: number) {
    return service.call(contract.online, { ...request, from });
  }
  assert(pages > 1, `${pages} pages`);
  assertEquals(rows.map(({ values }) => values[39]), events.map((_, index) => index));
  const response = await fetch(`${service.url}/v1/features/online`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(request),
  });
  const whole = await response.json();
  assertEquals([whole.rows.length, whole.next], [700, null]);
  assertEquals(whole.rows, rows);
});

Deno.test("feature-store waits for a position, and says so when it does not come", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const read = (position: number, timeoutMs: number) =>
    service.call(contract.online, {
      features: ["orders.spend"],
      entities: [{ customer_id: 1 }],
      asOf: day(1),
      waitFor: { position, timeoutMs },
    });
  for (let sequence = 1; sequence <= 5; sequence++) {
    await publishLines(service.bus, [line(paid(1, 1), { id: `${sequence}`, at: 0 })]);
    const { position, rows } = await read(sequence, 10_000);
    assert(position >= sequence);
    assertEquals(rows[0]!.values, [sequence]);
  }
  const error = await assertRejects(() => read(99, 50), AppError);
  assertEquals(error.code, "timeout");
  assert(error.message.includes("position 99") && error.message.includes("up to 5"), error.message);
});

Deno.test("feature-store sees what is known now only when asked to", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await publishLines(service.bus, [
    line(paid(1, 1), { id: "1", at: 0 }),
    line(paid(1, 10), { id: "2", at: 0, knownAt: 20 }),
  ]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 2));
  const read = async (asKnown?: "then" | "now") => {
    const request = { features: ["orders.spend"], entities: [{ customer_id: 1 }], asOf: day(1) };
    return (await service.call(contract.online, { ...request, ...(asKnown && { asKnown }) })).rows[0]!
      .values[0];
  };
  assertEquals([await read(), await read("then"), await read("now")], [1, 1, 11]);
});

Deno.test("feature-store computes on-demand features from request values, and asks for those that are missing", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await service.call(contract.putView, {
    project,
    name: "basket",
    body: {
      ...orders,
      request: { basket: "number" },
      features: {
        spend: orders.features.spend,
        share: { expression: 'r.basket / f["orders.spend"]' },
        large: { expression: "r.basket > 100" },
      },
    },
  });
  await publishLines(service.bus, [line(paid(1, 40), { id: "1", at: 0 })]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 1));
  const read = (request?: Record<string, number> | Record<string, number>[]) =>
    service.call(contract.online, {
      features: ["basket.share", "basket.large"],
      entities: [{ customer_id: 1 }, { customer_id: 404 }],
      asOf: day(1),
      ...(request && { request }),
    });
  const { rows } = await read([{ basket: 10 }, { basket: 200 }]);
  assertEquals(rows.map(({ values }) => values), [[0.25, false], [null, true]]);
  assertEquals(rows.map(({ statuses }) => statuses), [["PRESENT", "PRESENT"], ["NOT_FOUND", "PRESENT"]]);
  assertEquals((await read({ basket: 20 })).rows[0]!.values, [0.5, false]);
  const missing = await assertRejects(() => read(), AppError);
  assert(missing.message.includes("/request/basket is missing"), missing.message);
  const one = await assertRejects(() => read([{ basket: 1 }]), AppError);
  assert(one.message.includes("1 of 2 entities"), one.message);
});

Deno.test("feature-store lets a service version stay with the views that it was made with", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await publishLines(service.bus, [line(paid(1, 2), { id: "1", at: 0 })]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 1));
  const read = (version?: number) =>
    service.call(contract.online, {
      features: { service: "churn", ...(version && { version }) },
      entities: [{ customer_id: 1 }],
      asOf: day(20),
    });
  assertEquals((await read()).views, [{ name: "orders", version: 1 }]);
  await service.call(contract.putView, { project, name: "orders", body: { ...orders, ttl: "P7D" } });
  // The new version serves when it is filled; the service has one over it.
  await eventually(async () => {
    const newest = await read();
    assertEquals([newest.version, newest.views, newest.rows[0]!.statuses[0]], [
      2,
      [{ name: "orders", version: 2 }],
      "EXPIRED",
    ]);
  });
  const pinned = await read(1);
  assertEquals([pinned.views[0]!.version, pinned.rows[0]!.statuses[0]], [1, "PRESENT"]);
  await eventually(async () => {
    const { versions } = await service.call(contract.viewVersions, { view: "orders" });
    assertEquals(versions.map(({ status, progress }) => [status, progress]), [["ready", 1], ["ready", 1]]);
  });
  // A view that lost a feature leaves the service where it is.
  const { spend: _, ...fewer } = orders.features;
  await service.call(contract.putView, { project, name: "orders", body: { ...orders, features: fewer } });
  assertEquals((await read()).version, 2);
});

Deno.test("a service version goes on with the source of its views when a view turns to another one", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await publishLines(service.bus, [line(paid(1, 2), { id: "1", at: 0 })]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 1));
  await service.call(contract.putView, {
    project,
    name: "orders",
    body: { ...orders, source: "other_lines" },
  });
  await publishLines(service.bus, [line(paid(1, 3), { id: "2", at: 1 })]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 2));
  const { rows } = await service.call(contract.online, {
    features: { service: "churn", version: 1 },
    entities: [{ customer_id: 1 }],
    asOf: day(2),
  });
  assertEquals(rows[0]!.values[orderFeatures.indexOf("orders.spend")], 5);
});

Deno.test("a view that comes again sees what came while it was away, and so does one of an entity", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await service.call(contract.removeFeatureService, { project, name: "churn" });
  const spend = async () => {
    const { rows } = await service.call(contract.online, {
      features: ["orders.spend"],
      entities: [{ customer_id: 1 }],
      asOf: day(9),
    });
    return rows[0]!.values[0];
  };
  const publish = async (id: string) => {
    const { received } = await countsOf(service);
    await publishLines(service.bus, [line(paid(1, 1), { id, at: 0 })]);
    await eventually(async () => assertEquals((await countsOf(service)).received, received + 1));
  };
  await publish("1");
  await service.call(contract.removeView, { project, name: "orders" });
  await publish("2");
  await service.call(contract.putView, { project, name: "orders", body: orders });
  await eventually(async () => assertEquals(await spend(), 2));

  await service.call(contract.removeView, { project, name: "orders" });
  await service.call(contract.removeEntity, { project, name: "customer" });
  await publish("3");
  await service.call(contract.putEntity, {
    project,
    name: "customer",
    body: { keys: { customer_id: "integer" } },
  });
  await service.call(contract.putView, { project, name: "orders", body: orders });
  await eventually(async () => assertEquals(await spend(), 3));
});

Deno.test("feature-store does not run ahead of what it applied where events set the clock", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const clockAt = (at: number, revision: number) =>
    bucketPut(BUCKET.clocks, project, { project, kind: "event", now: day(at), revision }, `clock:${at}`);
  const publish = (id: string, at: number) =>
    publishAll(
      service.bus,
      encodeBatches([line(paid(1, 1), { id, at })], {
        subject: subject.clean("invoice_lines"),
        headers: { [HEADER.project]: project, [HEADER.clock]: day(at) },
      }),
    );
  await publish("1", 3);
  await publishAll(service.bus, [clockAt(9, 1)]);
  const read = async () => {
    const { at, rows } = await service.call(contract.online, {
      features: ["orders.spend"],
      entities: [{ customer_id: 1 }],
    });
    return [at, rows[0]!.values[0]];
  };
  await eventually(async () => assertEquals(await read(), [day(3), 1]));
  await publish("2", 9);
  await eventually(async () => assertEquals(await read(), [day(9), 2]));
});
