import { assertEquals, assertThrows } from "@std/assert";
import type { Label, Spine } from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import { createHistory, createLayout, type EntityRecord } from "./history.ts";
import { planLabel } from "./label.ts";
import { planSpine } from "./spine.ts";
import { createTrainingRows } from "./training_rows.ts";

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

function labelAt(label: Partial<Label>, records: readonly EntityRecord[], at: number): number {
  const layout = createLayout();
  const plan = planLabel({ source: "orders", aggregate: "exists", within: "P7D", ...label }, layout);
  return plan.evaluate(createHistory(layout, records), at);
}

function ticksOf(spine: Partial<Spine>, records: readonly EntityRecord[], range = {}): number[] {
  const layout = createLayout();
  const plan = planSpine({ source: "orders", every: "P7D", activeWithin: "P14D", ...spine }, layout);
  const ticks = plan.activeTicks(createHistory(layout, records), {
    fromMs: -Infinity,
    toMs: MONDAY + 100 * DAY,
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

const row = (entity: string, day: number, value: number | string | boolean | null, label: number | null) => ({
  entity,
  atMs: MONDAY + day * DAY,
  label,
  features: { values: [value], statuses: [], eventTimes: [], approximate: [] },
});

Deno.test("createTrainingRows() orders by T, then by the order of the entities", () => {
  const rows = createTrainingRows(["v.f"], { maxCells: 100 });
  rows.add(row("a", 0, 1, 0));
  rows.add(row("a", 7, null, 1));
  rows.add(row("b", 0, true, 1));
  rows.add(row("b", 7, 4, null));
  const order = rows.order();
  assertEquals(rows.entities(order), ["a", "b", "a", "b"]);
  assertEquals([...rows.times(order)].map((time) => (time - MONDAY) / DAY), [0, 0, 7, 7]);
  assertEquals([...rows.feature(0, order)], [1, 1, NaN, 4]);
  assertEquals([...rows.labels(order)], [0, 1, 1, NaN]);
  assertEquals([rows.length, rows.immature], [4, 1]);
});

Deno.test("createTrainingRows() refuses text, and more than may be held", () => {
  const rows = createTrainingRows(["v.f"], { maxCells: 1 });
  assertThrows(() => rows.add(row("a", 0, "red", 0)), AppError, 'the feature "v.f" is the text "red"');
  const full = createTrainingRows(["v.f"], { maxCells: 1 });
  full.add(row("a", 0, 1, 0));
  assertEquals(assertThrows(() => full.add(row("a", 7, 1, 0)), AppError).code, "too_large");
});

Deno.test("createTrainingRows() grows", () => {
  const rows = createTrainingRows(["v.f"], { maxCells: 10_000 });
  for (let index = 0; index < 3_000; index++) rows.add(row(`e${index}`, 0, index, null));
  assertEquals(rows.feature(0, rows.order())[2_999], 2_999);
});
