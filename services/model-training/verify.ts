import { AppError } from "shared/errors.ts";
import { loadModel } from "shared/onnx/runtime.ts";
import { type Dataset, modelBatch } from "./domain/dataset.ts";

/** Rows given to the runtime at once: its memory never shrinks again, so one call must stay small. */
const BATCH_ROWS = 4_096;

/** Largest difference that is accepted, as a part of the answer, or of 1 for smaller answers. */
const TOLERANCE = 1e-5;

export interface Verification {
  rows: number;
  /** In units of max(1, |answer|). */
  largestDifference: number;
}

/** The outputs for every row of a data set: [rows, outputs]. */
export type Score = (dataset: Dataset) => Promise<Float64Array>;

/**
 * Works with an ONNX file in memory.
 *
 * @param shape the features of the data sets it is to score, and how many outputs it has for a row
 * @throws {AppError} when the runtime can't load the file, or can't run it on these features
 */
export async function withModelFile<T>(
  file: Uint8Array,
  { dictionaries, outputs }: Pick<Dataset, "dictionaries"> & { outputs: number },
  work: (score: Score) => Promise<T>,
): Promise<T> {
  const categories = dictionaries.filter((dictionary) => dictionary !== null).length;
  const model = await loadModel(file, { numbers: dictionaries.length - categories, categories, outputs });
  try {
    return await work(async (dataset) => {
      const answers = new Float64Array(dataset.rows * outputs);
      for (let from = 0; from < dataset.rows; from += BATCH_ROWS) {
        const to = Math.min(dataset.rows, from + BATCH_ROWS);
        answers.set(await model.predict(modelBatch(dataset, from, to)), from * outputs);
      }
      return answers;
    });
  } finally {
    await model.unload();
  }
}

/**
 * The outputs of an ONNX file for every row of the data set: [rows, outputs].
 *
 * @param outputs values a row; default: 1
 * @throws {AppError} when the runtime can't load the file, or can't run it on these features
 */
export function scoreWithFile(file: Uint8Array, dataset: Dataset, outputs = 1): Promise<Float64Array> {
  return withModelFile(file, { dictionaries: dataset.dictionaries, outputs }, (score) => score(dataset));
}

/**
 * Runs an exported file on the rows and compares its answers with the trainer's: a file that answers otherwise is
 * another model than the one that was judged.
 *
 * @param file ONNX bytes
 * @param expected the rows and the trainer's answers, [rows, outputs]
 * @throws {AppError} `unprocessable` when an answer differs by more than 1e-5 x max(1, |answer|)
 */
export async function verifyModelFile(
  file: Uint8Array,
  expected: { dataset: Dataset; answers: Float64Array },
): Promise<Verification> {
  const { dataset, answers } = expected;
  const width = answers.length / dataset.rows;
  const outputs = await scoreWithFile(file, dataset, width);
  let largestDifference = 0;
  for (const [index, answer] of answers.entries()) {
    const output = outputs[index]!;
    const difference = Math.abs(output - answer) / Math.max(1, Math.abs(answer));
    // Negated, so that a NaN on either side fails too.
    if (!(difference <= TOLERANCE)) {
      throw new AppError(
        "unprocessable",
        `Cannot accept the model's file: it answers ${output} in row ${
          Math.floor(index / width)
        }, the trainer ${answer}: they may differ by ${TOLERANCE} x max(1, |answer|)`,
      );
    }
    largestDifference = Math.max(largestDifference, difference);
  }
  return { rows: dataset.rows, largestDifference };
}
