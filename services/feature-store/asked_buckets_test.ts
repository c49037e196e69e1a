import { assertEquals, assertNotEquals } from "@std/assert";
import { type ViewBody, viewBodySchema } from "shared/contracts/feature_store.ts";
import { type AskedBuckets, type BucketSource, createBucketQuestion } from "./asked_buckets.ts";
import { planFeatures } from "./domain/feature_plan.ts";

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const START = Date.parse("2026-05-01T10:20:30.400Z");

const count = (window: string | null) => ({ aggregate: "count" as const, window });
const body = (features: ViewBody["features"]) =>
  viewBodySchema.parse({ entity: "customer", source: "orders", features });

function planOf(bodies: Record<string, ViewBody>) {
  const features = Object.entries(bodies).flatMap(([view, { features }]) =>
    Object.keys(features).map((feature) => `${view}.${feature}`)
  );
  return planFeatures(features, (name) => ({ name, version: 1, project: "shop", body: bodies[name]! }));
}

/** What is asked for, as it is sent. */
const sent = ({ entities }: AskedBuckets) => entities.map(({ set, placeOf }) => [set.columns, placeOf]);

Deno.test("createBucketQuestion() asks at every T as if it had not been asked before", () => {
  // 90 minutes in hops of a minute, a year in hops of six hours with coarser buckets, seven days, and the lifetime.
  const plan = planOf({
    recent: body({ minutes: count("PT90M"), seconds: count("PT1M") }),
    long: body({ week: count("P7D"), year: count("P365D") }),
    ever: body({ all: count(null) }),
  });
  const sources = new Map<string, BucketSource>([
    ["recent", { viewVersion: 1, intactFromMs: null }],
    ["long", { viewVersion: 2, intactFromMs: START + HOUR + 7 }],
    ["ever", { viewVersion: 3, intactFromMs: null }],
  ]);
  const kept = createBucketQuestion(plan, sources);
  const steps = [
    0,
    1,
    99,
    599,
    600,
    601,
    1_000,
    30_000,
    59_999,
    60_000,
    HOUR - 1,
    HOUR + 6,
    HOUR + 7,
    HOUR + 8,
  ];
  const times = [...steps, ...steps.map((step) => 9 * HOUR - step), ...steps.map((step) => step - 400)];
  const seen = new Set<AskedBuckets>();
  for (const time of times) {
    const asked = kept(START + time);
    seen.add(asked);
    assertEquals(sent(asked), sent(createBucketQuestion(plan, sources)(START + time)), `at ${time} ms`);
  }
  assertNotEquals(seen.size, times.length, "nothing was kept");
});

Deno.test("createBucketQuestion() keeps what is asked of lifetimes, and what of windows until they move", () => {
  const source = new Map([["view", { viewVersion: 1, intactFromMs: null }]]);
  const lifetime = createBucketQuestion(planOf({ view: body({ all: count(null) }) }), source);
  assertEquals(lifetime(START) === lifetime(START + 1_000 * HOUR), true);
  // Of a day, in hops of 15 minutes.
  const day = createBucketQuestion(planOf({ view: body({ day: count("P1D") }) }), source);
  const tick = Date.parse("2026-05-01T10:30:00.000Z");
  assertEquals(day(START) === day(tick - 1), true);
  assertEquals(day(tick - 1) === day(tick), false);
  assertEquals(day(tick) === day(tick + 1), false, "the bucket after the tick holds what comes at once");
  assertEquals(day(tick + 1) === day(tick + 2), true);
});
