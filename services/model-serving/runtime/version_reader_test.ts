import { assert, assertEquals, assertRejects } from "@std/assert";
import { setImmediate } from "node:timers";
import { type GoldenRows, MODEL_METADATA, type Signature } from "shared/contracts/signature.ts";
import { AppError } from "shared/errors.ts";
import type { ModelBatch } from "shared/onnx/model_batch.ts";
import { longListModelFile } from "../testing/hostile_file.ts";
import { signature } from "../testing/model_file.ts";
import { randomForest, seededRandom, VOCABULARY } from "../testing/random_forest.ts";
import { walkTrees } from "./tree_walker.ts";
import { createVersionReader } from "./version_reader.ts";

const name = { model: "reorder", version: 7, signature };

Deno.test("createVersionReader() lets others have their turn while it reads a large file", async () => {
  const { read } = createVersionReader();
  let isRead = false;
  const reading = assertRejects(
    () => read(longListModelFile(20_000_000), name),
    AppError,
    "its lists have more",
  )
    .finally(() => isRead = true);
  let turns = 0;
  for (; !isRead; turns++) await new Promise<void>((resolve) => setImmediate(resolve));
  await reading;
  // Where it is read between two turns, there are two or three.
  assert(turns > 100, `${turns} turns`);
});

Deno.test("createVersionReader() gives up files that take too long to read, one after the other", async () => {
  const { read } = createVersionReader({ readMs: 500 });
  const file = longListModelFile(16_000_000);
  const errors = await Promise.all(
    [7, 8].map((version) => assertRejects(() => read(file, { ...name, version }), AppError)),
  );
  assertEquals(
    errors.map((error) => [(error as AppError).code, (error as AppError).message]),
    [7, 8].map((version) => [
      "timeout",
      `Cannot admit reorder v${version}: to read its file took more than 500 ms`,
    ]),
  );
});

Deno.test("createVersionReader() gives up what it reads, and what waits, once it is stopped", async () => {
  const reader = createVersionReader({ readMs: 60_000 });
  const file = longListModelFile(16_000_000);
  const reading = [7, 8].map((version) => reader.read(file, { ...name, version }));
  await reader.stop();
  for (const read of reading) await assertRejects(() => read, AppError, "the service stops");
});

const input = (index: number) => ({
  name: `orders.f${index}`,
  type: "number" as const,
  nulls: "as_trained" as const,
});

/** A forest with its signature, and perhaps golden rows. */
function forestOf(seed: number, categories: number, golden?: GoldenRows) {
  const its: Signature = {
    ...signature,
    inputs: [
      ...Array.from({ length: 3 }, (_, index) => input(index)),
      ...Array.from({ length: categories }, (_, index) => ({
        ...input(3 + index),
        type: "category" as const,
        vocabulary: [...VOCABULARY],
        unseen: "as_other" as const,
      })),
    ],
  };
  const { file } = randomForest({
    trees: 20,
    depth: 6,
    numbers: 3,
    categories,
    precision: "float",
    sigmoid: false,
    seed,
    metadata: {
      [MODEL_METADATA.signature]: JSON.stringify(its),
      ...(golden === undefined ? {} : { [MODEL_METADATA.goldenRows]: JSON.stringify(golden) }),
    },
  });
  return { file, name: { ...name, signature: its } };
}

Deno.test("trees that were read in a thread answer as those that were read in place", async () => {
  const { read: inPlace } = createVersionReader({ inPlaceBytes: Infinity });
  const { read: inThread } = createVersionReader({ inPlaceBytes: 0 });
  for (const categories of [0, 2]) {
    const { file, name } = forestOf(5, categories);
    const shape = { numbers: 3, categories, outputs: 1 };
    const random = seededRandom(9);
    const batch: ModelBatch = {
      rows: 200,
      numbers: Float32Array.from({ length: 600 }, () => random() < 0.1 ? NaN : random() * 2 - 1),
      categories: Array.from(
        { length: 200 * categories },
        () => ["", "new", ...VOCABULARY][Math.floor(random() * 6)]!,
      ),
    };
    const [one, other] = [await inPlace(file, name), await inThread(file, name)];
    assertEquals(walkTrees(other.trees!, shape)(batch), walkTrees(one.trees!, shape)(batch));
  }
});

Deno.test("trees that answer their golden rows otherwise than recorded are refused, wherever they are read", async () => {
  const rows = [[0.1, null, -0.3], [0.4, 0.5, 0.6]];
  const { file, name } = forestOf(3, 0);
  const { trees } = await createVersionReader().read(file, name);
  const answers = walkTrees(trees!, { numbers: 3, categories: 0, outputs: 1 })({
    rows: 2,
    numbers: Float32Array.from(rows.flat(), (value) => value ?? NaN),
    categories: [],
  });
  const outputs = Array.from(answers, (answer) => [answer]);
  for (const inPlaceBytes of [0, Infinity]) {
    const { read } = createVersionReader({ inPlaceBytes });
    const right = forestOf(3, 0, { rows, outputs });
    assertEquals((await read(right.file, right.name)).golden?.batch.rows, 2);
    const wrong = forestOf(3, 0, { rows, outputs: [outputs[0]!, [outputs[1]![0]! + 1]] });
    await assertRejects(() => read(wrong.file, wrong.name), AppError, "to golden row 1, and");
  }
});
