import { assertEquals } from "@std/assert";
import type { Task } from "shared/contracts/signature.ts";
import { datasetOf, textColumn } from "../testing/datasets.ts";
import { hintsOf } from "./hints.ts";
import { Random } from "./random.ts";

const ROWS = 400;
const random = new Random(5);
const labels = Float64Array.from({ length: ROWS }, () => random.below(2));
const of = (value: (row: number) => number) => Float64Array.from({ length: ROWS }, (_, row) => value(row));
const kinds = (
  columns: Parameters<typeof datasetOf>[0],
  task: Task = "binary",
  own = labels,
) => hintsOf(datasetOf(columns, own), { task }).map(({ kind, feature }) => `${feature} ${kind}`);

Deno.test("hintsOf() finds features that explain the label alone, whichever way", () => {
  assertEquals(
    kinds([
      of((row) => labels[row]! * 3 + random.uniform()),
      of((row) => -labels[row]!),
      of((row) => labels[row] === 1 ? NaN : random.uniform()),
      of(() => random.uniform()),
      { values: of((row) => labels[row]! * 2 + random.below(2)), categories: ["a", "b", "c", "d"] },
    ]),
    ["view.f0 explains_label", "view.f1 explains_label", "view.f2 explains_label", "view.f4 explains_label"],
  );
  const values = of((row) => (row - 200) ** 2);
  assertEquals(kinds([of((row) => row), of(() => random.uniform())], "regression", values), [
    "view.f0 explains_label",
  ]);
});

Deno.test("hintsOf() does not take values that hardly occur twice for an explanation of the label", () => {
  const texts = (text: (row: number) => string) =>
    textColumn(Array.from({ length: ROWS }, (_, row) => text(row)));
  const columns = [
    texts((row) => `order ${row}`),
    texts((row) => `order ${Math.floor(row / 2)}`),
    // It says of most rows what their label is.
    texts((row) => row % 100 === 0 ? `order ${row}` : `was ${labels[row]}`),
    texts((row) => row % 2 === 0 ? `order ${row}` : `was ${labels[row]}`),
  ];
  const values = of((row) => 10 * labels[row]! + random.uniform());
  for (const task of ["binary", "multiclass", "regression"] as const) {
    const own = task === "regression" ? values : labels;
    assertEquals(kinds(columns, task, own), ["view.f2 explains_label"], task);
  }
});

Deno.test("hintsOf() does not take the name of an entity for an explanation of its rows", () => {
  const entity = (row: number) => row % 40;
  const texts = textColumn(Array.from({ length: ROWS }, (_, row) => `customer ${entity(row)}`));
  const numbers = of((row) => (entity(row) * 17) % 40);
  const own = of((row) => labels[entity(row)]!);
  const named = (columns: Parameters<typeof datasetOf>[0], entities: (row: number) => string) => ({
    ...datasetOf(columns, own),
    entities: Array.from({ length: ROWS }, (_, row) => entities(row)),
  });
  const found = (task: Task, entities: (row: number) => string) =>
    hintsOf(named([texts, numbers], entities), { task }).map(({ feature }) => feature);
  for (const task of ["binary", "multiclass", "regression"] as const) {
    assertEquals(found(task, (row) => `["${entity(row)}"]`), [], task);
  }
  // Of one entity alone both do explain its rows.
  assertEquals(found("multiclass", () => `["1"]`), ["view.f0", "view.f1"]);
});

Deno.test("hintsOf() goes by the event times behind a feature where they are known", () => {
  const at = (row: number) => Date.UTC(2026, 0, 1) + row * 3_600_000;
  const later = of((row) => at(row) + 86_400_000);
  const columns = [of(() => random.uniform()), of(() => random.uniform()), later, later];
  const dataset = { ...datasetOf(columns, labels), times: of(at) };
  const leads = { "view.f0": 2_000, "view.f1": 0, "view.f2": -60_000, "view.f3": null };
  assertEquals(
    hintsOf(dataset, { task: "binary", leads }).map(({ kind, feature, value }) => [kind, feature, value]),
    [
      ["younger_than_t", "view.f0", null],
      ["later_instants", "view.f2", 1],
      ["younger_than_t", "view.f3", 1],
    ],
  );
});

Deno.test("hintsOf() finds instants later than T, in seconds and milliseconds, and leaves counts alone", () => {
  const start = Date.UTC(2026, 0, 1);
  const later = datasetOf([
    of((row) => (start + row * 3_600_000 + (row % 4 === 0 ? 86_400_000 * 30 : -86_400_000)) / 1_000),
    of((row) => start + row * 3_600_000 - 86_400_000),
    of((row) => row),
  ], labels);
  const hints = hintsOf({ ...later, times: of((row) => start + row * 3_600_000) }, { task: "binary" });
  assertEquals(hints.map(({ kind, feature, value }) => [kind, feature, value]), [
    ["younger_than_t", "view.f0", 0.25],
  ]);
});

Deno.test("hintsOf() finds instants later than T whatever their unit, and those that are text", () => {
  const start = Date.UTC(2026, 0, 1);
  const at = (row: number) => start + row * 3_600_000;
  const late = (row: number) => at(row) + (row % 2 === 0 ? 86_400_000 : -86_400_000);
  const textsOf = (text: (row: number) => string) => ({
    values: of((row) => row),
    categories: Array.from({ length: ROWS }, (_, row) => text(row)),
  });
  const iso = (time: number) => new Date(time).toISOString();
  const dataset = datasetOf([
    of((row) => late(row) * 1e3),
    of((row) => late(row) * 1e6),
    textsOf((row) => iso(late(row))),
    textsOf((row) => iso(late(row)).slice(0, 19).replace("T", " ")),
    // Half an hour later in a zone that is an hour ahead.
    textsOf((row) => iso(at(row) + 5_400_000).replace("Z", "+01:00")),
    // The day of T, and what was before it.
    textsOf((row) => `${iso(at(row)).slice(0, 10)}`),
    textsOf((row) => iso(at(row) - 1)),
    textsOf((row) => row % 10 === 0 ? iso(late(row)) : `order ${row}`),
  ], of(() => random.below(2)));
  const hints = hintsOf({ ...dataset, times: of(at) }, { task: "binary" }).filter(({ kind }) =>
    kind === "younger_than_t"
  );
  assertEquals(hints.map(({ feature, value }) => [feature, value]), [
    ["view.f0", 0.5],
    ["view.f1", 0.5],
    ["view.f2", 0.5],
    ["view.f3", 0.5],
    ["view.f4", 1],
  ]);
});

Deno.test("hintsOf() names what holds nothing to learn", () => {
  assertEquals(kinds([of(() => NaN), of(() => 7)]), ["view.f0 missing", "view.f1 constant"]);
});
