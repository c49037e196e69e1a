/** The model that the serving benchmarks ask: 100 trees of depth 6 over 20 features, and rows for it. @module */
import { MODEL_METADATA, type Signature } from "shared/contracts/signature.ts";
import { randomForest, seededRandom } from "../../services/model-serving/testing/random_forest.ts";

export const FEATURES = 20;
export const NAMES = Array.from({ length: FEATURES }, (_, at) => `bench.f${at}`);

export const signature: Signature = {
  task: "binary",
  entity: "thing",
  featureService: { name: "bench", version: 1 },
  inputs: NAMES.map((name) => ({ name, type: "number", nulls: "refuse" })),
  output: "probability",
  classes: ["0", "1"],
};

export const forestFile = (seed: number): Uint8Array<ArrayBuffer> =>
  randomForest({
    trees: 100,
    depth: 6,
    numbers: FEATURES,
    precision: "float",
    sigmoid: true,
    seed,
    metadata: { [MODEL_METADATA.signature]: JSON.stringify(signature) },
  }).file;

/** Rows with four decimals, as measured values have. */
export function rowsOf(count: number): number[][] {
  const random = seededRandom(3);
  return Array.from(
    { length: count },
    () => NAMES.map(() => Math.round((random() * 2 - 1) * 10_000) / 10_000),
  );
}

export const namedRow = (row: readonly number[]) =>
  Object.fromEntries(NAMES.map((name, at) => [name, row[at]!]));
