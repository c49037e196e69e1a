import { assert, assertEquals, assertThrows } from "@std/assert";
import { deploymentBodySchema } from "shared/contracts/model_serving.ts";
import { AppError } from "shared/errors.ts";
import { createRouter, type RouterOptions } from "./router.ts";

function routerOf(body: Record<string, unknown>, options: Partial<RouterOptions> = {}) {
  return createRouter(deploymentBodySchema.parse(body), {
    model: "reorder",
    hasVersion: () => true,
    ...options,
  });
}

const twoArms = (canary: Record<string, unknown> = {}) => ({
  arms: {
    control: { alias: "champion", weight: 0.8, limits: { concurrency: 2 } },
    canary: { alias: "challenger", weight: 0.2, ...canary },
  },
});

Deno.test("Router.assign() gives a key the same arm on every copy, and other keys the declared shares", () => {
  const [one, another] = [routerOf(twoArms()), routerOf(twoArms())];
  const keys = Array.from({ length: 20_000 }, (_, index) => `customer ${index}`);
  const arms = keys.map((key) => one.assign(key).name);
  assertEquals(keys.map((key) => another.assign(key).name), arms);
  const share = arms.filter((arm) => arm === "canary").length / keys.length;
  assert(
    Math.abs(share - 0.2) < 5 * Math.sqrt(0.2 * 0.8 / keys.length),
    `the canary has ${share} of the keys`,
  );
});

Deno.test("Router.assign() goes by chance where there is no key", () => {
  let chance = 0;
  const router = routerOf(twoArms(), { random: () => chance });
  const arms = [0, 0.19995, 0.2, 0.99999].map((value) => (chance = value, router.assign(undefined).name));
  assertEquals(arms, ["canary", "canary", "control", "control"]);
});

Deno.test("Router.enter() goes around an arm without a version, beyond its limit, or failing, and says why", () => {
  const versions = new Set(["champion"]);
  const router = routerOf(twoArms({ limits: { concurrency: 1 }, breaker: { minCalls: 1, errorRate: 1 } }), {
    hasVersion: (alias) => versions.has(alias),
    now: () => 0,
  });
  const canary = router.arms.find(({ name }) => name === "canary")!;
  const enter = () => {
    const place = router.enter(canary, 1);
    return { told: [place.arm.name, place.assigned, place.rerouted], place };
  };
  const without = enter();
  assertEquals(without.told, ["control", "canary", "no_version"]);
  without.place.done(undefined);

  versions.add("challenger");
  const first = enter();
  assertEquals(first.told, ["canary", null, null]);
  const beyond = enter();
  assertEquals(beyond.told, ["control", "canary", "limit"]);
  beyond.place.done(undefined);

  first.place.done({ failed: true, ms: 1 });
  assertEquals(router.breakerOf(canary), "open");
  assertEquals(enter().told, ["control", "canary", "breaker"]);
});

Deno.test("Router.enter() refuses with Retry-After where the arm that must answer is at its limit", () => {
  const router = routerOf(twoArms({ limits: { concurrency: 1, beyond: "refuse" } }), { now: () => 0 });
  const canary = router.arms.find(({ name }) => name === "canary")!;
  router.enter(canary, 1);
  const refused = assertThrows(() => router.enter(canary, 1), AppError);
  assertEquals([refused.code, refused.retryAfter], ["unavailable", 1]);
  const places = [router.enter(router.champion, 1), router.enter(router.champion, 1)];
  assertThrows(() => router.enter(router.champion, 1), AppError, '"control" is at its limit');
  places[0]!.done(undefined);
  assertEquals(router.enter(router.champion, 1).arm.name, "control");
});

Deno.test("Router.enter() lets through the declared rows a second", () => {
  let now = 0;
  const router = routerOf(
    { arms: { all: { alias: "champion", weight: 1, limits: { rowsPerSecond: 100 } } } },
    {
      now: () => now,
    },
  );
  const taken = (rows: number) => {
    try {
      router.enter(router.champion, rows).done(undefined);
      return true;
    } catch {
      return false;
    }
  };
  assertEquals([taken(60), taken(40), taken(1)], [true, true, false]);
  now = 500;
  assertEquals([taken(50), taken(1)], [true, false]);
  // One call of more rows than a second's worth: when the bucket is full, and it pays back.
  now = 1_500;
  assertEquals([taken(250), taken(1)], [true, false]);
  now = 2_900;
  assertEquals(taken(1), false);
  now = 3_100;
  assertEquals(taken(1), true);
});

Deno.test("deploymentBodySchema tells of every configuration that can't be honoured", () => {
  const mistakes = (body: unknown) => {
    const { error } = deploymentBodySchema.safeParse(body);
    return error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];
  };
  const arm = (alias: string, weight: number) => ({ alias, weight });
  assertEquals(mistakes({ arms: { a: arm("champion", 0.7), b: arm("challenger", 0.2) } }), [
    "arms: have weights that sum to 0.9, and must sum to 1",
  ]);
  assertEquals(mistakes({ arms: { a: arm("champion", 0.7), b: arm("challenger", 0.3) } }), []);
  assertEquals(mistakes({ arms: { a: arm("one", 0.5), b: arm("one", 0.5) } }), [
    `arms: must hold one with the champion's alias "champion", which the others fall back to`,
    "arms: must each have an alias of its own",
  ]);
  assertEquals(mistakes({ arms: { a: arm("champion", 0.99999), b: arm("b", 0.00001) } }).length, 2);
  assertEquals(mistakes({ shadows: { champion: { alias: "challenger" } } }), [
    "shadows.champion: is the name of an arm already",
  ]);
  const whole = arm("champion", 1);
  assertEquals(mistakes({ arms: { all: { ...whole, breaker: { minCalls: 3 } } } }), [
    "arms.all.breaker: is not for the champion: nobody stands in for it",
  ]);
  // What is stored holds the defaults of every arm.
  assertEquals(mistakes(deploymentBodySchema.parse({ arms: { all: whole } })), []);
  assertEquals(mistakes({ arms: { all: whole }, shadows: { constructor: { alias: "challenger" } } }), []);
  assertEquals(mistakes({ sticky: { by: "key", parts: ["customer_id"] } }), [
    'sticky.parts: are of an entity: only for by "entity"',
  ]);
});
