import { assertEquals } from "@std/assert";
import { createDataset } from "../dataset.ts";
import { lastValues } from "./last_value.ts";

const rows = (list: readonly [entity: string, time: number, label: number][]) =>
  createDataset({
    featureNames: ["v.x"],
    columns: [list.map(() => 0)],
    labels: list.map(([, , label]) => label),
    times: list.map(([, time]) => time),
    entities: list.map(([entity]) => entity),
  });

Deno.test("lastValues() gives the entity's last label that was settled by T", () => {
  const history = rows([["a", 0, 5], ["a", 10, 6], ["a", 20, 7], ["b", 0, 1]]);
  const asked = rows([["a", 12, 0], ["a", 25, 0], ["a", 4, 0], ["b", 99, 0], ["c", 99, 0]]);
  const options = { horizonMs: 5, fallback: [3] };
  assertEquals([...lastValues(asked, history, options)], [5, 7, 3, 1, 3]);
});

Deno.test("lastValues() never looks at the row itself, and answers several classes by a flag", () => {
  const asked = rows([["a", 0, 1], ["a", 1, 0], ["a", 2, 1]]);
  assertEquals([...lastValues(asked, asked, { horizonMs: 0, fallback: [0.5] })], [0.5, 1, 0]);
  const wide = lastValues(asked, asked, { horizonMs: 0, fallback: [0.25, 0.75] });
  assertEquals([...wide], [0.25, 0.75, 0, 1, 1, 0]);
});
