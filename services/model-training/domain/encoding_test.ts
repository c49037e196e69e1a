import { assertEquals, assertThrows } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { datasetOf, textColumn } from "../testing/datasets.ts";
import { encodeColumns, learnVocabularies, MAX_VOCABULARY } from "./encoding.ts";

const labels = (rows: number) => Array.from({ length: rows }, (_, row) => row % 2);

Deno.test("learnVocabularies() keeps the texts of two rows or more, and none for numbers", () => {
  const texts = ["b", "a", "b", "a", "rare", null, ""];
  const dataset = datasetOf([textColumn(texts), [1, 2, 3, 4, 5, 6, 7]], labels(7));
  const vocabularies = learnVocabularies(dataset);
  assertEquals(vocabularies, [["a", "b"], null]);
  // Missing is 0, the vocabulary 1 and 2, all else 3.
  assertEquals([...encodeColumns(dataset, vocabularies)[0]!], [2, 1, 2, 1, 3, 0, 0]);
});

Deno.test("encodeColumns() knows texts by what they say, whatever their number in another data set", () => {
  const train = datasetOf([textColumn(["b", "b", "d", "d"])], labels(4));
  const later = datasetOf([textColumn(["a", "b", "c", "d"])], labels(4));
  assertEquals([...encodeColumns(later, learnVocabularies(train))[0]!], [3, 1, 3, 2]);
});

Deno.test("learnVocabularies() keeps the most frequent texts where there are too many", () => {
  const texts = Array.from({ length: 300 }, (_, number) => `t${number}`);
  const column = textColumn([...texts, ...texts, ...texts.slice(0, MAX_VOCABULARY)]);
  const [vocabulary] = learnVocabularies(datasetOf([column], labels(column.values.length)));
  assertEquals(vocabulary, texts.slice(0, MAX_VOCABULARY).sort());
});

Deno.test("learnVocabularies() refuses 10,000 categories, and encodeColumns() numbers in place of texts", () => {
  const column = textColumn(Array.from({ length: 10_000 }, (_, number) => `user ${number}`));
  const error = assertThrows(() => learnVocabularies(datasetOf([column], labels(10_000))), AppError);
  assertEquals(
    error.message,
    'Cannot learn from the feature "view.f0": it has 10000 different texts, at most 1000 are accepted: ' +
      "leave it out, or group its rare values",
  );
  assertThrows(() => encodeColumns(datasetOf([[1, 2]], [0, 1]), [["a"]]), AppError, "holds numbers");
});
