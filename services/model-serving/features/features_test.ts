import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Entity } from "shared/contracts/entity_key.ts";
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import { deploymentBodySchema } from "shared/contracts/model_serving.ts";
import { AppError, invalid, unavailable } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import { signature } from "../testing/model_file.ts";
import { createLookups, type LookUp, type ReadOnline } from "./lookups.ts";
import { createReadFeatures, type EntityQuestion, type ReadOf } from "./read_features.ts";

const AT = "2011-05-02T00:00:00.000Z";
const context = { actor: "test", idempotencyKey: undefined, traceparent: undefined };

const numberOf = (entity: Entity) => Number(entity["customer_id"]);

/** A feature store in which a customer's features are its number and twice that; `requests` are the numbers asked. */
function createStore() {
  const requests: number[][] = [];
  const store = {
    requests,
    away: false,
    /** Resolves before each answer. */
    gate: Promise.resolve(),
    async readOnline(request: Parameters<ReadOnline>[0]) {
      requests.push(request.entities.map(numberOf));
      await store.gate;
      if (store.away) throw unavailable("Cannot call feature-store.v1.online: no service answers it");
      if (request.entities.some((entity) => Number.isNaN(numberOf(entity)))) {
        throw invalid("no such customer");
      }
      return {
        features: ["orders.spend", "orders.count"],
        version: 3,
        at: request.asOf ?? AT,
        position: 42,
        snapshot: "7:7:",
        rows: request.entities.map((entity) => ({
          entity,
          values: [2 * numberOf(entity), numberOf(entity) === 0 ? null : numberOf(entity)],
          statuses: ["PRESENT" as const, numberOf(entity) === 0 ? "NULL" as const : "PRESENT" as const],
          eventTimes: [null, AT],
        })),
      };
    },
  };
  return store;
}

const lookup = (number: string | number, more: Partial<Parameters<LookUp>[0]> = {}) => ({
  service: "reorder",
  version: 3,
  entities: [{ customer_id: String(number) }],
  asOf: undefined,
  deadlineMs: 5_000,
  traceparent: undefined,
  ...more,
});

Deno.test("createLookups() lets lookups share requests, gives each its own rows, and keeps other times apart", async () => {
  const store = createStore();
  const lookUp = createLookups(store.readOnline);
  const numbers = Array.from({ length: 200 }, (_, index) => index + 1);
  const other = lookUp(lookup(7, { asOf: "2011-01-01T00:00:00.000Z" }));
  const replies = await Promise.all(numbers.map((number) => lookUp(lookup(number))));
  assertEquals(
    replies.map(({ rows }) => rows.map(({ values }) => values[1])),
    numbers.map((number) => [number]),
  );
  assertEquals((await other).at, "2011-01-01T00:00:00.000Z");
  assertEquals(store.requests.length, 2, `${store.requests.length} requests for 201 lookups`);
});

Deno.test("createLookups() keeps what comes meanwhile for the next request, of a thousand entities at most", async () => {
  const store = createStore();
  const { promise, resolve } = Promise.withResolvers<void>();
  store.gate = promise;
  const lookUp = createLookups(store.readOnline);
  const many = (from: number) =>
    lookup(0, { entities: Array.from({ length: 600 }, (_, i) => ({ customer_id: String(from + i) })) });
  const answers = [lookUp(many(1)), lookUp(many(1_001)), lookUp(many(2_001))];
  await eventually(() => assertEquals(store.requests.length, 2));
  resolve();
  const replies = await Promise.all(answers);
  assertEquals(replies.map(({ rows }) => rows.length), [600, 600, 600]);
  assertEquals(replies.map(({ rows }) => rows[0]!.values[1]), [1, 1_001, 2_001]);
  assertEquals(store.requests.map((numbers) => numbers.length), [600, 600, 600]);
});

Deno.test("createLookups() tells one caller of a wrong entity, and not those who shared its request", async () => {
  const store = createStore();
  const lookUp = createLookups(store.readOnline);
  const [right, wrong, alsoRight] = await Promise.allSettled(
    ["1", "x", "3"].map((number) => lookUp(lookup(number))),
  );
  assertEquals([right!.status, wrong!.status, alsoRight!.status], ["fulfilled", "rejected", "fulfilled"]);
});

Deno.test("createLookups() gives up a lookup at its deadline, and asks nothing more for it", async () => {
  const store = createStore();
  store.gate = new Promise(() => {});
  const lookUp = createLookups(store.readOnline);
  const error = await assertRejects(() => lookUp(lookup(1, { deadlineMs: 20 })), AppError);
  assertEquals(error.code, "timeout");
});

/** Reads for a deployment with this policy; the clock is handed in. */
function readerOf(features: Record<string, unknown>, store = createStore()) {
  const clock = { now: 0 };
  const readFeatures = createReadFeatures({ lookUp: createLookups(store.readOnline), now: () => clock.now });
  const deployment = deploymentBodySchema.parse({ features });
  const read = (
    numbers: (string | number)[],
    given?: Record<string, FeatureValue>[],
    more: Partial<ReadOf> & Pick<EntityQuestion, "request"> = {},
  ) =>
    readFeatures({
      entities: numbers.map((number) => ({ customer_id: String(number) })),
      given,
      request: more.request,
    }, { signature, deployment, context, deadline: Infinity, ...more });
  return { store, clock, read };
}

Deno.test("createReadFeatures() gives values in the order of the signature, with statuses and times", async () => {
  const { read } = readerOf({});
  assertEquals(await read([5, 0]), {
    values: [5, 10, null, 0],
    statuses: [["PRESENT", "PRESENT"], ["NULL", "PRESENT"]],
    eventTimes: [[AT, null], [AT, null]],
    from: "store",
    at: AT,
    position: 42,
    snapshot: "7:7:",
  });
});

Deno.test("createReadFeatures() refuses when the store is away, or goes on with the declared defaults", async () => {
  const refusing = readerOf({});
  refusing.store.away = true;
  const error = await assertRejects(() => refusing.read([1]), AppError);
  assertEquals([error.code, error.retryAfter], ["unavailable", 1]);

  const { store, read } = readerOf({ fallback: "defaults", defaults: { "orders.count": 3 } });
  store.away = true;
  assertEquals(await read([1]), {
    values: [3, null],
    statuses: [["DEFAULT", "DEFAULT"]],
    eventTimes: [[null, null]],
    from: "defaults",
    at: null,
    position: null,
    snapshot: null,
  });
});

Deno.test("createReadFeatures() goes on with what was last read of an entity, not too old, and not at another T", async () => {
  const { store, clock, read } = readerOf({
    fallback: "last_known",
    lastKnown: { entities: 2, maxAge: "PT1M" },
  });
  for (const number of [1, 2, 3]) await read([number]);
  await read([9], undefined, { asOf: "2011-01-01T00:00:00.000Z" });
  await read([8], undefined, { request: [{ basket: 1 }] });
  store.away = true;
  clock.now = 60_000;
  assertEquals((await read([2, 3])).values, [2, 4, 3, 6]);
  assertEquals((await read([2])).from, "last_known");
  // The first of three went when the bound was two; what was read at a chosen T, or for a request, was never kept.
  for (const number of [1, 8, 9]) await assertRejects(() => read([number]), AppError, "nothing is known");
  clock.now = 60_001;
  await assertRejects(() => read([2]), AppError, "nothing is known");
});

Deno.test("createReadFeatures() takes defaults for entities of which nothing is known, where they are declared", async () => {
  const { store, read } = readerOf({
    fallback: "last_known",
    defaults: { "orders.count": 3, "orders.spend": 4 },
  });
  await read([1]);
  store.away = true;
  const { values, statuses, from } = await read([1, 8]);
  assertEquals([values, from], [[1, 2, 3, 4], "defaults"]);
  assertEquals(statuses, [["PRESENT", "PRESENT"], ["DEFAULT", "DEFAULT"]]);
});

Deno.test("createReadFeatures() waits no longer than the caller, to whom defaults would come too late", async () => {
  const { store, read } = readerOf({ deadline: "PT1H", fallback: "defaults" });
  store.gate = new Promise(() => {});
  const deadline = performance.now() + 20;
  const error = await assertRejects(() => read([1], undefined, { deadline }), AppError);
  assertEquals(error.code, "timeout");
});

Deno.test("createReadFeatures() lets given features override or complete what was looked up, as declared", async () => {
  const given = [{ "orders.count": 100 }, { "orders.count": 200 }];
  const overriding = await readerOf({}).read([5, 0], given);
  assertEquals(overriding.values, [100, 10, 200, 0]);
  assertEquals(overriding.statuses[0], ["GIVEN", "PRESENT"]);
  const completing = await readerOf({ given: "complete" }).read([5, 0], given);
  assertEquals(completing.values, [5, 10, 200, 0]);
  assertEquals(completing.statuses, [["PRESENT", "PRESENT"], ["GIVEN", "PRESENT"]]);
  const refused = await assertRejects(
    () => readerOf({ given: "refuse" }).read([5], [{ "orders.count": 1 }]),
    AppError,
  );
  assert(refused.reasons[0]!.message.startsWith("may not be given"));
  const unknown = await assertRejects(() => readerOf({}).read([5], [{ "orders.cuont": 1 }]), AppError);
  assertEquals(unknown.reasons.map(({ path }) => path), ["/features/0/orders.cuont"]);
});
