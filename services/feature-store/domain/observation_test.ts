import { assertEquals } from "@std/assert";
import type { FeatureValue, Label, TickSpine } from "shared/contracts/feature_store.ts";
import { createHistory, createLayout, type EntityRecord } from "./history.ts";
import { planLabel } from "./label.ts";
import { planSpine } from "./spine.ts";

const DAY = 86_400_000;
/** A Monday. */
const MONDAY = Date.parse("2011-05-02T00:00:00.000Z");

const order = (day: number, amount: number | null, more: Partial<EntityRecord> = {}): EntityRecord => ({
  time: MONDAY + day * DAY,
  knownAt: MONDAY + day * DAY,
  id: `o${day}`,
  definition: 1,
  data: { amount, cancelled: amount === 0 },
  ...more,
});

function labelAt(label: Partial<Label>, records: readonly EntityRecord[], at: number): FeatureValue {
  const layout = createLayout();
  const plan = planLabel({ source: "orders", aggregate: "exists", within: "P7D", ...label }, layout);
  return plan.evaluate(createHistory(layout, records), at);
}

function ticksOf(spine: Partial<TickSpine>, records: readonly EntityRecord[], range = {}): number[] {
  const layout = createLayout();
  const plan = planSpine({ source: "orders", every: "P7D", activeWithin: "P14D", ...spine }, layout);
  const ticks = plan.times(createHistory(layout, records), {
    fromMs: -Infinity,
    toMs: MONDAY + 100 * DAY,
    asKnown: "then",
    ...range,
  });
  return Array.from(ticks, (tick) => (tick - MONDAY) / DAY);
}

Deno.test("planLabel() looks at (T, T + within]", () => {
  const records = [order(0, 1), order(7, 2), order(8, 4)];
  assertEquals(labelAt({ aggregate: "count" }, records, MONDAY), 1);
  assertEquals(labelAt({ aggregate: "count" }, records, MONDAY + DAY), 2);
  assertEquals(labelAt({}, records, MONDAY + 8 * DAY), 0);
  assertEquals(labelAt({}, records, MONDAY), 1);
});

Deno.test("planLabel() sums numbers, filters, and takes outcomes that became known late", () => {
  const records = [
    order(1, 2.5),
    order(2, null),
    order(3, 0),
    order(4, 0.25, { knownAt: MONDAY + 90 * DAY }),
  ];
  assertEquals(labelAt({ aggregate: "sum", field: "amount" }, records, MONDAY), 2.75);
  assertEquals(labelAt({ aggregate: "count", where: "!e.cancelled" }, records, MONDAY), 3);
});

Deno.test("planLabel() takes the next value, by (event time, id), and none where none came", () => {
  const records = [order(9, 5), order(3, 7, { id: "b" }), order(3, 8, { id: "a" })]
    .sort((a, b) => a.time - b.time || (a.id < b.id ? -1 : 1));
  const next = { aggregate: "next", field: "amount" } as const;
  assertEquals(labelAt(next, records, MONDAY), 8);
  assertEquals(labelAt(next, records, MONDAY + 3 * DAY), 5);
  assertEquals(labelAt(next, records, MONDAY + 9 * DAY), null);
});

Deno.test("planSpine() observes each event when it had happened and was known, in its newest version", () => {
  const layout = createLayout();
  const plan = planSpine({ source: "orders", each: "event", where: "!e.cancelled" }, layout);
  const records = [
    order(1, 5),
    order(1, 6, { definition: 2 }),
    order(2, 0),
    order(3, 1, { knownAt: MONDAY + 9 * DAY }),
    order(4, 1),
    order(4, 2, { id: "other" }),
  ];
  const times = (range: { fromMs: number; toMs: number; asKnown?: "now" }) =>
    Array.from(
      plan.times(createHistory(layout, records), { asKnown: "then", ...range }),
      (time) => (time - MONDAY) / DAY,
    );
  assertEquals(times({ fromMs: -Infinity, toMs: Infinity }), [1, 4, 4, 9]);
  assertEquals(times({ fromMs: MONDAY + 2 * DAY, toMs: MONDAY + 5 * DAY }), [4, 4]);
  assertEquals(times({ fromMs: -Infinity, toMs: Infinity, asKnown: "now" }), [1, 3, 4, 4]);
});

Deno.test("planSpine() observes an entity at the ticks after a record of its own", () => {
  assertEquals(ticksOf({}, [order(3, 1)]), [7, 14]);
  assertEquals(ticksOf({ activeWithin: "P4D" }, [order(3, 1)]), []);
  assertEquals(ticksOf({ activeWithin: "P5D" }, [order(3, 1)]), [7]);
  assertEquals(ticksOf({}, [order(7, 1)]), [7, 14]);
  assertEquals(ticksOf({}, [order(0, 1), order(40, 1)]), [0, 7, 42, 49]);
  assertEquals(ticksOf({}, []), []);
});

Deno.test("planSpine() does not call active what was not known by T, or does not match", () => {
  assertEquals(ticksOf({}, [order(3, 1, { knownAt: MONDAY + 10 * DAY })]), [14]);
  assertEquals(ticksOf({ where: "!e.cancelled" }, [order(3, 0)]), []);
});

Deno.test("planSpine() passes over the years between two records, however close the ticks", () => {
  const records = [order(0, 1), order(2_000, 1, { knownAt: MONDAY + 4_000 * DAY }), order(4_000, 0)];
  const ticks = ticksOf({ every: "PT0.001S", activeWithin: "PT0.002S", where: "!e.cancelled" }, records, {
    toMs: MONDAY + 9_000 * DAY,
  });
  assertEquals(ticks.map((tick) => tick * DAY), [0, 1]);
});

Deno.test("planSpine() keeps to the range", () => {
  const range = { fromMs: MONDAY + 8 * DAY, toMs: MONDAY + 21 * DAY };
  assertEquals(ticksOf({ activeWithin: "P60D" }, [order(0, 1)], range), [14, 21]);
});
