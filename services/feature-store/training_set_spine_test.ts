import { assert, assertEquals, assertRejects } from "@std/assert";
import { parquetWriteBuffer } from "hyparquet-writer";
import * as contract from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import type { TrainingSetTable } from "shared/training_set_table.ts";
import {
  countsOf,
  day,
  defineShop,
  line,
  orders,
  project,
  publishLines,
  setClock,
  startFeatureStore,
} from "./testing/shop.ts";
import { build, learnt, load, type TrainingSetAsked } from "./testing/training_set.ts";

const parts = { project, entity: "customer", featureService: { name: "churn" } } as const;
const label = { source: "invoice_lines", aggregate: "exists", within: "P7D" } as const;

/** Customer 1 buys on days 0, 3 and 10 (known on day 20 only); customer 2 on day 5. The clock stands at day 14. */
async function startShop(): Promise<TestService> {
  const service = await startFeatureStore();
  await defineShop(service);
  await publishLines(service.bus, [
    line({ customer_id: 1, amount: 1, cancelled: false, channel: "web" }, { id: "1", at: 0 }),
    line({ customer_id: 1, amount: 2.5, cancelled: false, channel: "shop" }, { id: "2", at: 3 }),
    line({ customer_id: 1, amount: 4, cancelled: false, channel: "web" }, { id: "3", at: 10, knownAt: 20 }),
    line({ customer_id: 2, amount: 8, cancelled: true, channel: "web" }, { id: "4", at: 5 }),
  ]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 4));
  await setClock(service.bus, day(14));
  return service;
}

const valuesOf = (
  { features, carried = [] }: TrainingSetTable,
  name: string,
) => [...[...features, ...carried].find((column) => column.name === name)!.values];

Deno.test("a training set keeps the rows of its spine: their order, repeated ones, what is carried", async () => {
  await using service = await startShop();
  const rows = [
    { customer_id: 1, t: day(12), campaign: "b", spent: 3 },
    { customer_id: "3", t: day(4), campaign: "a", spent: null },
    { customer_id: 1, t: day(2), campaign: "b", spent: 1 },
    { customer_id: 1, t: day(12), campaign: null, spent: 2 },
  ];
  const status = await build(service, { ...parts, spine: { rows, carry: ["campaign", "spent"] }, label });
  const table = await load(service, status);
  assertEquals(table.entities, ['["1"]', '["3"]', '["1"]', '["1"]']);
  assertEquals([...table.times], rows.map(({ t }) => Date.parse(t)));
  assertEquals(valuesOf(table, "orders.spend"), [3.5, NaN, 1, 3.5]);
  assertEquals(valuesOf(table, "spent"), [3, NaN, 1, 2]);
  assertEquals(table.carried![0]!.categories, ["a", "b"]);
  assertEquals([...table.labels], [NaN, 0, 1, NaN]);
  assertEquals([status.result!.rows, status.result!.immature], [4, 2]);

  const dropped = await build(service, { ...parts, spine: { rows }, label, immature: "drop" });
  assertEquals((await load(service, dropped)).entities, ['["3"]', '["1"]']);
  assertEquals([dropped.result!.rows, dropped.result!.immature, dropped.result!.dropped], [2, 0, 2]);
});

Deno.test("a training set sees what was known by T, or all that is known now where that is asked", async () => {
  await using service = await startShop();
  const rows = [{ customer_id: 1, t: day(12) }];
  const spend = async (asKnown: "then" | "now") =>
    (await learnt(service, { ...parts, asKnown }, rows))[0]![2];
  assertEquals([await spend("then"), await spend("now")], [3.5, 7.5]);
});

Deno.test("a training set takes its spine from a file: CSV, lines of JSON, Parquet", async () => {
  await using service = await startShop();
  const csv = "when;customer_id;paid;campaign\n2011-05-14;1;1.5;x\n2011-05-04 00:00:00;2;;7y\n";
  const ndjson = [
    { when: day(12), customer_id: 1, paid: 1.5, campaign: "x" },
    { when: day(2), customer_id: 2, paid: null, campaign: "7y" },
  ].map((row) => JSON.stringify(row)).join("\n");
  const parquet = parquetWriteBuffer({
    columnData: [
      { name: "when", data: [new Date(day(12)), new Date(day(2))], type: "TIMESTAMP" },
      { name: "customer_id", data: [1, 2], type: "INT32" },
      { name: "paid", data: [1.5, null], type: "DOUBLE" },
      { name: "campaign", data: ["x", "7y"], type: "STRING" },
    ],
  });
  const hashes = new Set<string>();
  for (const [format, body] of [["csv", csv], ["ndjson", ndjson], ["parquet", parquet]] as const) {
    const sent = await fetch(`${service.url}/v1/spine-files`, { method: "POST", body });
    assertEquals(sent.status, 201);
    const { sha256: file } = await sent.json();
    const spine = { file, format, delimiter: ";", time: "when", carry: ["paid", "campaign"] };
    const status = await build(service, { ...parts, spine, label: { column: "paid" } });
    const table = await load(service, status);
    assertEquals([...table.labels], [1.5, NaN]);
    assertEquals(valuesOf(table, "campaign"), [1, 0]);
    hashes.add(status.result!.sha256);
  }
  assertEquals(hashes.size, 1, "the same rows give the same bytes");
});

Deno.test("a training set of events counts the event at T in its own row", async () => {
  await using service = await startShop();
  const spine = { source: "invoice_lines", where: "!e.cancelled", each: "event" } as const;
  const table = await load(service, await build(service, { ...parts, spine, label }));
  assertEquals([...table.times], [day(0), day(3)].map(Date.parse));
  assertEquals(valuesOf(table, "orders.spend"), [1, 3.5]);
  await setClock(service.bus, day(30));
  const later = await eventually(async () => {
    const { times } = await load(service, await build(service, { ...parts, spine, label, from: day(1) }));
    assertEquals([...times], [day(3), day(20)].map(Date.parse));
    return times;
  });
  assertEquals(later.length, 2);
});

Deno.test("a training set holds text and booleans as such, and says where a label is null for good", async () => {
  await using service = await startShop();
  await service.call(contract.putView, {
    project,
    name: "orders",
    body: {
      ...orders,
      features: {
        ...orders.features,
        spend: { aggregate: "last", field: "channel", window: null },
        deviation: { aggregate: "last", field: "cancelled", window: null },
      },
    },
  });
  const rows = [
    { customer_id: 1, t: day(2) },
    { customer_id: 2, t: day(6) },
    { customer_id: 1, t: day(4) },
    { customer_id: 1, t: day(8) },
  ];
  const next = { source: "invoice_lines", aggregate: "next", field: "channel", within: "P3D" } as const;
  const status = await build(service, { ...parts, spine: { rows }, label: next });
  const { features, labels, labelCategories, mature } = await load(service, status);
  assertEquals(features[2]!.type, "text");
  assertEquals([...features[2]!.values].map((code) => features[2]!.categories![code]), [
    "web",
    "web",
    "shop",
    "shop",
  ]);
  assertEquals([features[3]!.type, [...features[3]!.values]], ["boolean", [0, 1, 0, 0]]);
  assertEquals([...labels].map((code) => labelCategories![code] ?? null), ["shop", null, null, "web"]);
  assertEquals([...mature!], [1, 1, 1, 1]);

  const { columns } = await service.call(contract.trainingSetStatistics, { id: status.id });
  assertEquals(columns.map(({ name, type }) => [name, type]).slice(0, 4), [
    ["label", "text"],
    ["orders.lines_30d", "number"],
    ["orders.spend_30d", "number"],
    ["orders.spend", "text"],
  ]);
  assertEquals(columns[3]!.top, [{ value: "shop", rows: 2 }, { value: "web", rows: 2 }]);
});

Deno.test("a training set tells what its columns hold, in pages", async () => {
  await using service = await startShop();
  const rows = [1, 2, 3].flatMap((customer_id) => [4, 12].map((at) => ({ customer_id, t: day(at) })));
  const { id } = await build(service, { ...parts, spine: { rows } });
  const { columns, next } = await service.call(contract.trainingSetStatistics, { id, after: 3, limit: 1 });
  assertEquals(next, 4);
  assertEquals(columns, [{
    name: "orders.spend",
    type: "number",
    statuses: { PRESENT: 3, NULL: 0, NOT_FOUND: 3, EXPIRED: 0 },
    distinct: 2,
    numbers: { min: 3.5, max: 8, mean: 5, p05: 3.5, p25: 3.5, p50: 3.5, p75: 3.5, p95: 3.5 },
    top: [],
  }]);
});

Deno.test("a training set refuses a spine that it can't use, and says which row", async () => {
  await using service = await startShop();
  const refusals: [TrainingSetAsked["spine"], Partial<TrainingSetAsked>, string][] = [
    [
      { rows: [{ customer_id: 1, t: day(2) }, { customer_id: 1.5, t: day(2) }] },
      {},
      "/spine/rows/1 does not name",
    ],
    [{ rows: [{ customer_id: 1, t: "May" }] }, {}, '/spine/rows/0/t is "May", and must be an instant'],
    [{ rows: [{ customer_id: 1, t: day(15) }] }, {}, "after the project's clock"],
    [{ rows: [{ customer_id: 1, t: day(1) }], carry: ["x"] }, {}, 'has no column "x"'],
    [{ rows: [{ customer_id: 1, t: day(1) }] }, { from: day(0) }, "/from goes with a declared spine"],
    [{ file: "0a".repeat(32), format: "csv" }, {}, "is not in the file store"],
    [{ source: "invoice_lines", each: "event" }, { label: { column: "x" } }, "is a column of a given spine"],
  ];
  for (const [spine, changes, expected] of refusals) {
    const error = await assertRejects(
      () => service.call(contract.buildTrainingSet, { ...parts, ...changes, spine }),
      AppError,
    );
    assert(error.message.includes(expected), error.message);
  }
  const sha256 = await service.bus.files.put(
    new TextEncoder().encode('{"customer_id":1,"t":"2011-05-04"}\n{oops\n'),
  );
  const failed = await build(service, { ...parts, spine: { file: sha256, format: "ndjson" } });
  assert(failed.error?.includes("/spine/lines/2"), failed.error ?? "no error");
});

Deno.test("GET /v1/training-sets/{id}/file gives the Parquet file, whole, in parts, or not again", async () => {
  await using service = await startShop();
  const { id, result } = await build(service, { ...parts, spine: { rows: [{ customer_id: 1, t: day(2) }] } });
  const get = (headers: Record<string, string> = {}, of = id) =>
    fetch(`${service.url}/v1/training-sets/${of}/file`, { headers });
  const whole = await get();
  const bytes = new Uint8Array(await whole.arrayBuffer());
  assertEquals(whole.headers.get("content-type"), "application/vnd.apache.parquet");
  assertEquals(whole.headers.get("etag"), `"${result!.sha256}"`);
  assertEquals(bytes, await service.bus.files.get(result!.sha256));
  const part = await get({ range: "bytes=4-19" });
  assertEquals([part.status, part.headers.get("content-range")], [206, `bytes 4-19/${result!.bytes}`]);
  assertEquals(new Uint8Array(await part.arrayBuffer()), bytes.slice(4, 20));
  const end = await get({ range: "bytes=-4" });
  assertEquals(new TextDecoder().decode(await end.arrayBuffer()), "PAR1");
  const statusOf = async (response: Response) => {
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await statusOf(await get({ range: `bytes=${result!.bytes}-` })), 416);
  assertEquals(await statusOf(await get({ "if-none-match": `"${result!.sha256}"` })), 304);
  assertEquals(await statusOf(await get({}, crypto.randomUUID())), 404);
});

Deno.test("training sets are listed in pages, and those that are not done can be cancelled", async () => {
  await using service = await startShop();
  const spine = { rows: [{ customer_id: 1, t: day(2) }] };
  const ids: string[] = [];
  for (let count = 0; count < 3; count++) ids.unshift((await build(service, { ...parts, spine })).id);
  const first = await service.call(contract.listTrainingSets, { project, limit: 2 });
  assertEquals(first.trainingSets.map(({ id }) => id), ids.slice(0, 2));
  const second = await service.call(contract.listTrainingSets, { project, limit: 2, after: first.next! });
  assertEquals([second.trainingSets.map(({ id }) => id), second.next], [ids.slice(2), null]);
  assertEquals((await service.call(contract.listTrainingSets, { status: "failed" })).trainingSets, []);

  // One that has ended stays as it is.
  assertEquals((await service.call(contract.cancelTrainingSet, { id: ids[0]! })).status, "done");
  const { id } = await service.call(contract.buildTrainingSet, { ...parts, spine });
  const { status } = await service.call(contract.cancelTrainingSet, { id });
  assert(status === "cancelled" || status === "done", status);
  await assertRejects(
    () => service.call(contract.cancelTrainingSet, { id: crypto.randomUUID() }),
    AppError,
    "there is none",
  );
});
