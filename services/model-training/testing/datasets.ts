/** Data sets that the tests of several files learn from. @module */
import { OUTPUT_OF_TASK, type Signature, type Task } from "shared/contracts/signature.ts";
import { classNames } from "../domain/classes.ts";
import { createDataset, type Dataset, type TextColumn } from "../domain/dataset.ts";
import { learnVocabularies } from "../domain/encoding.ts";
import { describeInputs } from "../domain/signature.ts";
import type { ModelMetadata } from "../domain/model_file.ts";
import { Random } from "../domain/random.ts";

/** A data set of the given columns, named `view.f0` and on; rows are an hour apart and of different entities. */
export function datasetOf(
  columns: readonly (ArrayLike<number> | TextColumn)[],
  labels: ArrayLike<number>,
): Dataset {
  return createDataset({
    featureNames: columns.map((_, index) => `view.f${index}`),
    columns,
    labels,
    times: Float64Array.from({ length: labels.length }, (_, row) => row * 3_600_000),
    entities: Array.from({ length: labels.length }, (_, row) => `["${row}"]`),
  });
}

/**
 * Rows of which a tree and a line can both learn something: four features (one in small whole numbers, one with a
 * fifth of its values missing, one noise), and a label that depends on the first three.
 */
export function noisyDataset(task: Task, options: { rows: number; seed: number }): Dataset {
  const random = new Random(options.seed);
  const draw = (value: () => number) => Float64Array.from({ length: options.rows }, value);
  const normal = () => random.uniform() + random.uniform() + random.uniform() - 1.5;
  const columns = [
    draw(normal),
    draw(() => random.below(6)),
    draw(() => random.uniform() < 0.2 ? NaN : normal() * 1_000),
    draw(normal),
  ];
  const score = (row: number) => {
    const [a, b, c] = columns.map((column) => column[row]!) as [number, number, number];
    return 2 * a + (b >= 3 ? a : -0.5) + (Number.isNaN(c) ? 1 : c / 1_000);
  };
  const labels = Float64Array.from(
    { length: options.rows },
    (_, row) => task === "regression" ? score(row) + normal() / 4 : score(row) + normal() > 0 ? 1 : 0,
  );
  return datasetOf(columns, labels);
}

/**
 * The same with a category of eight texts, one of them rare and one missing now and then, between the numbers; for
 * several classes a label of three.
 */
export function mixedDataset(task: Task, options: { rows: number; seed: number }): Dataset {
  const noisy = noisyDataset("regression", options);
  const random = new Random(options.seed + 1);
  const texts = Array.from({ length: options.rows }, () => {
    const draw = random.below(100);
    if (draw === 0) return `rare ${random.below(1_000_000)}`;
    return draw < 8 ? null : `kind ${draw % 7}`;
  });
  const effect = (text: string | null) =>
    text === null ? 1 : [3, -2, 0.5, 2, -1, -3, 1][Number(text.at(-1))] ?? 0;
  const values = noisy.labels.map((label, row) => label + effect(texts[row]!));
  const labels = values.map((value) =>
    task === "regression" ? value : task === "binary" ? Number(value > 0) : value < -1 ? 0 : value < 1 ? 1 : 2
  );
  const [a, b, ...rest] = noisy.columns;
  return datasetOf([a!, textColumn(texts), b!, ...rest], labels);
}

/** A category from its texts; null is missing. */
export function textColumn(texts: readonly (string | null)[]): TextColumn {
  const categories = [...new Set(texts.filter((text) => text !== null))].sort();
  const positions = new Map(categories.map((text, position) => [text, position]));
  return { values: texts.map((text) => text === null ? NaN : positions.get(text)!), categories };
}

/** Metadata of a model that was trained on the data set. */
export function metadataFor(dataset: Dataset, task: Task): ModelMetadata {
  const vocabularies = learnVocabularies(dataset);
  const signature: Signature = {
    task,
    entity: "customer",
    featureService: { name: "orders", version: 1 },
    inputs: describeInputs(dataset, vocabularies),
    output: OUTPUT_OF_TASK[task],
    classes: classNames(dataset, task)?.map((name) => `class ${name}`) ?? null,
  };
  return { signature, trainingSet: { sha256: "0".repeat(64), views: [] }, referenceBins: [] };
}
