import { invalid } from "shared/errors.ts";
import { type Dataset, floats } from "./dataset.ts";

/**
 * The texts a model tells apart, of each feature; null for a number. What a model has learnt from is the code of a
 * text: 0 is missing, then the vocabulary from 1 on, and `vocabulary.length + 1` everything else.
 */
export type Vocabularies = readonly (readonly string[] | null)[];

/** A byte holds the missing value, these, and all others. */
export const MAX_VOCABULARY = 254;
/** A feature of more texts than this names things instead of kinds of things: an id, a free text. */
const MAX_CATEGORIES = 1_000;
/** A text that fewer rows have is not worth a name of its own. */
const MIN_ROWS = 2;

/** The code of a text that the vocabulary lacks. */
export const otherCode = (vocabulary: readonly string[]): number => vocabulary.length + 1;

/**
 * Learns the vocabularies from the training part: of each category the most frequent texts, in text order.
 *
 * @throws {AppError} `invalid` for a feature of more than 1,000 texts
 */
export function learnVocabularies(train: Dataset): Vocabularies {
  return train.dictionaries.map((_, feature) =>
    occurringTexts(train, feature)
      ?.filter(({ rows }) => rows >= MIN_ROWS)
      .sort((a, b) => b.rows - a.rows || (a.text < b.text ? -1 : 1))
      .slice(0, MAX_VOCABULARY)
      .map(({ text }) => text)
      .sort() ?? null
  );
}

/**
 * All texts of the training part: what a model may tell apart that encodes them itself.
 *
 * @throws {AppError} `invalid` for a feature of more than 1,000 texts
 */
export function allTexts(train: Dataset): Vocabularies {
  return train.dictionaries.map((_, feature) =>
    occurringTexts(train, feature)?.map(({ text }) => text).sort() ?? null
  );
}

/** Null for a number. */
function occurringTexts(train: Dataset, feature: number): { text: string; rows: number }[] | null {
  const dictionary = train.dictionaries[feature]!;
  if (dictionary === null) return null;
  const counts = new Uint32Array(dictionary.length + 1);
  for (const code of train.columns[feature]!) counts[code] = counts[code]! + 1;
  const occurring = dictionary.map((text, index) => ({ text, rows: counts[index + 1]! }))
    .filter(({ rows }) => rows > 0);
  if (occurring.length <= MAX_CATEGORIES) return occurring;
  throw invalid(
    `Cannot learn from the feature "${
      train.featureNames[feature]
    }": it has ${occurring.length} different texts, at most ${MAX_CATEGORIES} are accepted: leave it out, or group its rare values`,
  );
}

/**
 * The columns as the model's graph sees them after its encoding: numbers as they are, texts as their codes in the
 * model's vocabularies.
 */
export function encodeColumns(dataset: Dataset, vocabularies: Vocabularies): readonly Float32Array[] {
  return dataset.columns.map((column, feature) => {
    const vocabulary = vocabularies[feature] ?? null;
    const dictionary = dataset.dictionaries[feature] ?? null;
    if (vocabulary === null && dictionary === null) return column;
    if (vocabulary === null || dictionary === null) {
      throw invalid(
        `Cannot use the data set: the feature "${dataset.featureNames[feature]}" holds ${
          dictionary ? "texts" : "numbers"
        }, the model has learnt from ${vocabulary ? "texts" : "numbers"}`,
      );
    }
    const codes = new Map(vocabulary.map((text, index) => [text, index + 1]));
    const other = otherCode(vocabulary);
    const recode = Float32Array.from(
      ["", ...dictionary],
      (text, code) => code === 0 ? 0 : codes.get(text) ?? other,
    );
    return floats(column.length, (row) => recode[column[row]!]!);
  });
}
