import { assertEquals, assertThrows } from "@std/assert";
import type { Task } from "shared/contracts/signature.ts";
import { AppError } from "shared/errors.ts";
import { BOOLEANS, classNames, numberClasses, numberLabels, requireUsableLabels } from "./classes.ts";
import { createDataset, type Dataset, selectRows } from "./dataset.ts";

function labelled(labels: readonly number[], classes?: readonly string[]): Dataset {
  return createDataset({
    featureNames: ["v.a"],
    columns: [labels.map((_, row) => row)],
    labels,
    classes,
    times: labels.map((_, row) => row),
    entities: labels.map(String),
  });
}

const first = (count: number) => Int32Array.from({ length: count }, (_, row) => row);
const numbered = (dataset: Dataset, task: Task, train = first(dataset.rows), positive?: string) => {
  const { labels, classes } = numberClasses(dataset, { task, train, positive });
  return { labels: [...labels], classes };
};
const refusal = (work: () => unknown) => {
  const error = assertThrows(work, AppError);
  assertEquals(error.code, "invalid");
  return error.message;
};

Deno.test("numberClasses() numbers texts in their order, and those that only later rows have after them", () => {
  const positions = labelled([0, 1, 2, 1], ["web", "app", "shop"]);
  assertEquals(numbered(positions, "multiclass"), { labels: [2, 0, 1, 0], classes: ["app", "shop", "web"] });
  assertEquals(numbered(positions, "multiclass", first(2)), {
    labels: [1, 0, 2, 0],
    classes: ["app", "web", "shop"],
  });
});

Deno.test("numberClasses() takes whole numbers for classes in the order of their size", () => {
  assertEquals(numbered(labelled([10, -1, 2, 10]), "multiclass"), {
    labels: [2, 0, 1, 2],
    classes: ["-1", "2", "10"],
  });
  assertEquals(
    refusal(() => numbered(labelled([1, 0.5]), "multiclass")),
    "Cannot use the training set: the label is 0.5, and a class is a whole number or a text",
  );
});

Deno.test("numberClasses() gives the positive class of two texts the number 1", () => {
  const dataset = labelled([0, 1, 0], ["bad", "good"]);
  assertEquals(numbered(dataset, "binary"), { labels: [0, 1, 0], classes: ["bad", "good"] });
  assertEquals(numbered(dataset, "binary", first(3), "bad"), { labels: [1, 0, 1], classes: ["good", "bad"] });
  assertEquals(
    refusal(() => numbered(dataset, "binary", first(3), "best")),
    'Cannot take "best" for the positive class: the classes of the label are "bad", "good"',
  );
  assertEquals(
    refusal(() => numbered(dataset, "multiclass", first(3), "bad")),
    'Cannot take "bad" for the positive class: a multiclass task has none',
  );
});

Deno.test("numberClasses() refuses labels that are no classes of the task", () => {
  const three = labelled([0, 1, 2], ["a", "b", "c"]);
  assertEquals(
    refusal(() => numbered(three, "binary")),
    'Cannot learn a binary model from the training set: its label has the classes "a", "b", "c", and must have two',
  );
  assertEquals(
    refusal(() => numbered(labelled([0, 1, 2]), "binary")),
    "Cannot use the training set: the label is 2 in row 2, a binary label must be 0 or 1",
  );
  assertEquals(
    refusal(() => numbered(three, "regression")),
    'Cannot use the training set for a regression: its label is text, such as "a"',
  );
  const many = Array.from({ length: 101 }, (_, row) => row);
  assertEquals(
    refusal(() => numbered(labelled(many), "multiclass")),
    "Cannot learn from the training set: its label has 101 classes, at most 100 are accepted",
  );
  assertEquals(numbered(labelled([0.5, 2]), "regression").labels, [0.5, 2]);
});

Deno.test("numberLabels() numbers by the names a model knows, or by their places", () => {
  const known = { task: "multiclass" as const, classes: ["cat", "dog"] };
  const { labels, classes } = numberLabels(labelled([0, 1, 2], ["bird", "cat", "dog"]), known);
  assertEquals([[...labels], classes], [[2, 0, 1], ["cat", "dog", "bird"]]);
  assertEquals([...numberLabels(labelled([1, 0, 1]), known).labels], [1, 0, 1]);
  assertEquals([...numberLabels(labelled([5, 1]), { task: "multiclass", classes: ["1", "5"] }).labels], [
    1,
    0,
  ]);
  assertEquals(
    refusal(() => numberLabels(labelled([0, 1], ["a", "b"]), { task: "binary", classes: ["0", "1"] })),
    'Cannot judge the model: the label is a in row 0, the classes of the model are "0", "1"',
  );
});

Deno.test("booleans keep their names, and are the flags of models that were made before", () => {
  const dataset = labelled([1, 0, 1], BOOLEANS);
  const { labels, classes } = numberClasses(dataset, { task: "binary", train: first(3) });
  assertEquals([[...labels], classes], [[1, 0, 1], ["false", "true"]]);
  assertEquals(
    numberClasses(dataset, { task: "binary", train: first(3), positive: "false" }).classes,
    ["true", "false"],
  );
  const regression = numberClasses(dataset, { task: "regression", train: first(3) });
  assertEquals([[...regression.labels], regression.classes], [[1, 0, 1], null]);
  for (const classes of [null, ["0", "1"], ["false", "true"]]) {
    assertEquals([...numberLabels(dataset, { task: "binary", classes }).labels], [1, 0, 1]);
  }
  assertEquals([...numberLabels(labelled([1, 0]), { task: "binary", classes: ["false", "true"] }).labels], [
    1,
    0,
  ]);
});

Deno.test("classNames() are those of the training part", () => {
  const dataset = numberClasses(labelled([0, 1, 2], ["a", "b", "c"]), {
    task: "multiclass",
    train: first(2),
  });
  assertEquals(classNames(selectRows(dataset, first(2)), "multiclass"), ["a", "b"]);
  assertEquals(classNames(labelled([0, 1]), "binary"), ["0", "1"]);
  assertEquals(classNames(labelled([0, 1]), "regression"), null);
});

Deno.test("requireUsableLabels() refuses a part with one class or with labels that are no class", () => {
  const message = (dataset: Dataset) => refusal(() => requireUsableLabels(dataset, "binary", "test"));
  assertEquals(
    message(labelled([0, 0])),
    "Cannot use the test part: all 2 rows have the label 0, both must occur",
  );
  assertEquals(
    message(labelled([1, 1], ["no", "yes"])),
    "Cannot use the test part: all 2 rows have the label yes, both must occur",
  );
  assertEquals(
    message(labelled([0, 1, 2])),
    "Cannot use the test part: the label is 2 in row 2, a binary label must be 0 or 1",
  );
  requireUsableLabels(labelled([0, 1]), "binary", "test");
  requireUsableLabels(labelled([7]), "regression", "test");
});
