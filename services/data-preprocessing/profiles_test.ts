import { assert, assertEquals, assertRejects } from "@std/assert";
import { Kvm } from "@nats-io/kv";
import type { Bus } from "shared/bus/connection.ts";
import * as contract from "shared/contracts/data_preprocessing.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import type { Signal } from "shared/contracts/signal.ts";
import { BUCKET, STREAM } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService, TestServiceOptions } from "shared/testing/service.ts";
import { storedMessages } from "shared/testing/streams.ts";
import { counted, declareSource, define, event, ingest, start as startService } from "./testing/orders.ts";

/** Windows are judged as soon as they are over. */
const start = (options: TestServiceOptions = {}) =>
  startService({ ...options, env: { PROFILE_SETTLE_SECONDS: "0", ...options.env } });

const day = (number: number) => `2011-01-${String(number).padStart(2, "0")}T00:00:00.000Z`;

/** Orders over a day, of which the price may drift. */
function orders(
  dayNumber: number,
  count: number,
  more: (n: number) => Record<string, unknown> = () => ({}),
): PlatformEvent[] {
  return Array.from(
    { length: count },
    (_, n) =>
      event(
        `${dayNumber}-${n}`,
        { price: 10 + n % 5, country: n % 4 === 0 ? "EIRE" : "France", ...more(n) },
        {
          time: new Date(Date.parse(day(dayNumber)) + n * 60_000).toISOString(),
        },
      ),
  );
}

async function signals(bus: Bus): Promise<Signal[]> {
  const messages = await storedMessages(bus, STREAM.signals.name);
  return messages.flatMap((message) => message.json<PlatformEvent<Signal>[]>()).map(({ data }) => data);
}

/** `<kind> <status> <findings>` of each signal. */
const told = async (bus: Bus) =>
  (await signals(bus)).map(({ kind, status, details }) =>
    [kind, status, ...details["findings"] as string[] ?? []].join(" ")
  );

const newest = async (service: TestService, limit = 5) =>
  (await service.call(contract.profiles, { source: "orders", limit })).profiles;

Deno.test("data-preprocessing profiles clean records by day, and signals a drift and its end", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, { steps: [{ step: "filter", expression: "e.price > 0", reason: "free" }] });
  await ingest(bus, [...orders(1, 120), event("free", { price: 0 }, { time: day(1) })], day(1));
  await ingest(bus, orders(2, 120, (n) => ({ price: 30 + n % 5, country: n % 2 ? null : "France" })), day(2));
  await ingest(bus, orders(3, 120, (n) => ({ price: 30 + n % 5, country: n % 2 ? null : "France" })), day(3));
  await ingest(bus, orders(4, 1), day(4));

  await eventually(async () =>
    assertEquals(await told(bus), [
      "profile breach country is null in 50.0% of the records, after 0.0% " +
      "price has the mean 32, after 12 with a deviation of 1.42",
      "profile ok",
    ])
  );
  const [signal] = await signals(bus);
  assertEquals({ ...signal, details: undefined, summary: undefined }, {
    project: "shop",
    kind: "profile",
    subjectType: "source",
    name: "orders",
    status: "breach",
    value: 2,
    threshold: 1,
    details: undefined,
    summary: undefined,
  });
  assertEquals(
    signal?.summary,
    `orders from ${day(2)} to ${day(3)}: country is null in 50.0% of the records, after 0.0%, and 1 more`,
  );

  const profiles = await newest(service);
  assertEquals(profiles.map(({ from, until, count }) => [from, until, count]), [
    [day(4), day(5), 1],
    [day(3), day(4), 120],
    [day(2), day(3), 120],
    [day(1), day(2), 120],
  ]);
  assertEquals(profiles.map(({ anomalies }) => anomalies.map(({ kind }) => kind)), [
    [],
    [],
    ["nulls", "mean"],
    [],
  ]);
  const [country, price] = profiles[3]!.fields;
  assertEquals(country, {
    field: "country",
    types: { string: 120 },
    nulls: 0,
    distinct: 2,
    numbers: null,
    lengths: { min: 4, max: 6, mean: 5.5 },
    top: [{ value: "France", count: 90 }, { value: "EIRE", count: 30 }],
  });
  assertEquals(price?.numbers?.mean, 12);
  const { profiles: earlier } = await service.call(contract.profiles, { source: "orders", before: day(2) });
  assertEquals(earlier.map(({ from }) => from), [day(1)]);
});

Deno.test("data-preprocessing judges the volume of empty windows, too, and blocks where it must", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, {
    expectations: [{ expect: "volume", window: "P1D", min: 2, action: "block" }],
  });
  await ingest(bus, orders(1, 3), day(1));
  await ingest(bus, orders(4, 3), day(4));
  const { blocks: [block] } = await eventually(async () => {
    const reply = await service.call(contract.listBlocks, {});
    return reply.blocks.length > 0 && reply;
  }) as { blocks: contract.Block[] };
  assertEquals(block?.since, day(2));
  assertEquals(block?.reasons, [`the window from ${day(2)} has 0 records, and must have at least 2`]);
  const windows = await eventually(async () => {
    const profiles = await newest(service);
    assertEquals(profiles.length, 3);
    return profiles;
  });
  assertEquals(windows[1]?.anomalies, [
    { field: "", kind: "volume", message: "has 0 records, and must have at least 2" },
  ]);

  // While it is held nothing is judged; afterwards what came meanwhile counts.
  await ingest(bus, orders(5, 1), day(6));
  await counted(service, 7);
  await service.call(contract.releaseBlock, { source: "orders", reason: "it was a holiday" });
  await eventually(async () => {
    const [newestBlock] = (await service.call(contract.listBlocks, {})).blocks;
    assertEquals(newestBlock?.since, day(5));
  });
  assertEquals(
    (await newest(service)).find(({ from }) => from === day(5))?.anomalies.map(({ message }) => message),
    ["has 1 records, and must have at least 2"],
  );
});

Deno.test("data-preprocessing holds expressions against each window of their length", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, {
    expectations: [
      { expect: "window", window: "PT1H", expression: "w.mean.price < 13", message: "dear", action: "warn" },
    ],
  });
  const hours = (prices: readonly number[]) =>
    prices.map((price, n) => event(`${n}`, { price }, { time: `2011-01-01T0${n}:10:00.000Z` }));
  await ingest(bus, hours([12, 15, 12, 14, 12, 12]), "2011-01-01T06:00:00.000Z");
  await eventually(async () =>
    assertEquals(await told(bus), [
      "quality ok",
      "quality breach dear",
      "quality ok",
      "quality breach dear",
      "quality ok",
    ])
  );
});

Deno.test("data-preprocessing tells when a source is stale by its project's clock, and when it is fresh again", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, { expectations: [{ expect: "freshness", max: "PT1H", action: "warn" }] });
  const late = (id: string, time: string) => event(id, { price: 1 }, { time: `2011-01-01T${time}:00.000Z` });
  await ingest(bus, [late("a", "08:00")], "2011-01-01T08:30:00.000Z");
  await counted(service, 1);
  assertEquals(await told(bus), []);
  // Records of the project that are set aside here move its clock all the same.
  await ingest(bus, [{ ...late("x", "09:30"), source: "payments" }], "2011-01-01T09:30:00.000Z");
  await eventually(async () =>
    assertEquals(await told(bus), [
      "quality breach has no record since 2011-01-01T08:00:00.000Z, more than PT1H before 2011-01-01T09:30:00.000Z",
    ])
  );
  await ingest(bus, [late("b", "09:20")], "2011-01-01T09:30:00.000Z");
  await eventually(async () => assertEquals((await told(bus)).at(-1), "quality ok"));
});

Deno.test("data-preprocessing follows the wall's clock of a project that is told to live by it", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, { expectations: [{ expect: "volume", window: "P1D", min: 1, action: "warn" }] });
  const now = new Date().toISOString();
  await ingest(bus, orders(1, 1), day(1));
  await counted(service, 1);
  const clock = { project: "shop", kind: "wall", now };
  await (await new Kvm(bus.js).open(BUCKET.clocks)).put("shop", JSON.stringify(clock));
  // Thousands of days without a record are one thing to tell.
  await eventually(async () =>
    assertEquals(await told(bus), ["quality ok", "quality breach has 0 records, and must have at least 1"])
  );
});

Deno.test("data-preprocessing forgets a concern with the expectation that it was about", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, { expectations: [{ expect: "volume", window: "P1D", min: 9, action: "warn" }] });
  await ingest(bus, orders(1, 1), day(2));
  await eventually(async () =>
    assertEquals(await told(bus), ["quality breach has 1 records, and must have at least 9"])
  );
  await define(service, { expectations: [] });
  await eventually(async () => assertEquals((await told(bus)).at(-1), "quality ok"));
});

Deno.test("data-preprocessing compares windows with what the source's schema declares", async () => {
  await using service = await start();
  const { bus } = service;
  await declareSource(bus, "orders", {
    kind: "events",
    schema: {
      properties: {
        price: { type: "number", maximum: 13 },
        country: { enum: ["France"] },
        customer: { type: "integer" },
      },
      required: ["customer"],
    },
  });
  await define(service, { steps: [{ step: "rename", fields: { country: "land" } }] });
  await ingest(bus, orders(1, 20, (n) => n < 5 ? { customer: n } : {}), day(2));
  await eventually(async () =>
    assertEquals((await newest(service))[0]?.anomalies, [
      { field: "land", kind: "schema", message: 'has the value "EIRE", which is not declared' },
      { field: "price", kind: "schema", message: "has the value 14, above its maximum of 13" },
      { field: "customer", kind: "schema", message: "is required, and is not there in 15 of 20 records" },
    ])
  );
});

Deno.test("data-preprocessing lets late records join the window they belong to, without judging it again", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, { expectations: [{ expect: "volume", window: "P1D", min: 2, action: "warn" }] });
  await ingest(bus, orders(1, 1), day(2));
  await eventually(async () => assertEquals((await told(bus)).length, 1));
  await ingest(bus, orders(1, 4).slice(1), day(2));
  await eventually(async () => assertEquals((await newest(service))[0]?.count, 4));
  await ingest(bus, orders(3, 2), day(4));
  await eventually(async () =>
    assertEquals(await told(bus), [
      "quality breach has 1 records, and must have at least 2",
      "quality breach has 0 records, and must have at least 2",
      "quality ok",
    ])
  );
});

Deno.test("data-preprocessing merges what two copies count, and judges each window once", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("data-preprocessing");
  const copy = { bus, databaseUrl: database.url, env: { INTAKE_MESSAGES: "1" } };
  await using first = await start(copy);
  await using second = await start(copy);
  await define(first, {
    expectations: [
      { expect: "volume", window: "P1D", min: 30, action: "warn" },
      { expect: "window", window: "PT6H", expression: "w.count >= 0", message: "never", action: "warn" },
    ],
  });
  for (let n = 0; n < 60; n++) {
    await ingest(bus, [...orders(1, 60).slice(n, n + 1), ...orders(2, 60).slice(n, n + 1)], day(1));
  }
  await counted(second, 120);
  await ingest(bus, orders(3, 1), day(3));
  await eventually(async () => {
    const [, two, one] = await newest(second);
    assertEquals([one, two].map((profile) => [profile?.from, profile?.count]), [[day(1), 60], [day(2), 60]]);
    const prices = Array.from({ length: 60 }, (_, n) => 10 + n % 5);
    for (const profile of [one!, two!]) {
      const price = profile.fields.find(({ field }) => field === "price")!;
      assertEquals(price.types, { number: 60 });
      assertEquals(price.numbers?.mean, prices.reduce((sum, one) => sum + one, 0) / 60);
      assertEquals(price.top.map(({ count }) => count), [12, 12, 12, 12, 12]);
    }
  });
  await eventually(async () => {
    const [row] = await database.db`
      select count(*)::int as series, min(judged_until) as until from profile_series where judged_until >= ${
      day(3)
    }`;
    assertEquals({ ...row }, { series: 2, until: day(3) });
  });
  const [left] = await database.db`select count(*)::int as parts from profile_parts`;
  assertEquals(left?.["parts"], 0);
  assertEquals((await told(bus)).filter((signal) => signal.includes("breach")), []);
});

Deno.test("GET /v1/profiles/{source}/picture.svg draws the newest profile beside the one before", async () => {
  await using service = await start();
  const { bus } = service;
  const url = `${service.url}/v1/profiles/orders/picture.svg`;
  const missing = await fetch(url);
  await missing.body?.cancel();
  assertEquals(missing.status, 404);
  const evil = '</text><script>alert("&")</script>\u0000';
  await ingest(bus, orders(1, 150, () => ({ [evil]: evil })), day(1));
  await ingest(bus, orders(2, 150, () => ({ price: 99, [evil]: `${evil}2` })), day(2));
  await counted(service, 300);

  const answer = await fetch(url);
  const svg = await answer.text();
  assertEquals(answer.headers.get("content-type"), "image/svg+xml; charset=utf-8");
  assert(svg.includes("2011-01-02, 150 records; before: 2011-01-01, 150 records"), svg.slice(0, 2_000));
  for (const text of ["price", "country", "France"]) assert(svg.includes(`>${text}</text>`), text);
  assert(!svg.includes("<script") && !svg.includes("\u0000"));
  const again = await fetch(url, { headers: { "if-none-match": answer.headers.get("etag")! } });
  await again.body?.cancel();
  assertEquals(again.status, 304);

  await ingest(bus, orders(2, 151).slice(150), day(2));
  await eventually(async () => {
    const newer = await fetch(url, { headers: { "if-none-match": answer.headers.get("etag")! } });
    assert((await newer.text()).includes("2011-01-02, 151 records"));
  });
});

Deno.test("data-preprocessing refuses expectations about windows that cannot be judged, with every mistake", async () => {
  await using service = await start();
  const refusal = await assertRejects(
    () =>
      define(service, {
        profile: { window: "PT1S" },
        expectations: [
          { expect: "volume", window: "P1D", action: "warn" },
          { expect: "window", window: "P1D", expression: "w.cuont > 1", message: "few", action: "warn" },
          { expect: "freshness", max: "PT0S", action: "warn" },
        ],
      }),
    AppError,
  );
  assertEquals(refusal.reasons, [
    { path: "/profile/window", message: "has a window of PT1S: it must be at least PT1M" },
    { path: "/expectations/0", message: "must have a min or a max" },
    {
      path: "/expectations/1",
      message: "reads w.cuont: w has count, nulls, distinct, min, max, mean, deviation, " +
        "p01, p05, p25, p50, p75, p95, p99",
    },
    {
      path: "/expectations/2",
      message: "has a max of no length: the clock is always ahead of some record",
    },
  ]);
});
