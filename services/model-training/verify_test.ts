import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertLess,
  assertRejects,
  assertThrows,
} from "@std/assert";
import type { Task } from "shared/contracts/signature.ts";
import { MODEL_METADATA } from "shared/contracts/signature.ts";
import { AppError } from "shared/errors.ts";
import { createExplainer } from "shared/explain/explainer.ts";
import { readModel } from "shared/onnx/reader.ts";
import { modelBatch } from "./domain/dataset.ts";
import { findBinning, thresholdMemory } from "./domain/trainers/trees/binning.ts";
import { ALONE } from "./domain/trainers/trees/team.ts";
import { TRAINERS } from "./domain/trainers/registry.ts";
import { datasetOf, metadataFor, mixedDataset, noisyDataset } from "./testing/datasets.ts";
import { scoreWithFile, verifyModelFile } from "./verify.ts";

for (const trainer of TRAINERS.values()) {
  for (const task of trainer.tasks) {
    Deno.test(`verifyModelFile() finds the file of ${trainer.algorithm} to answer as it does (${task})`, async () => {
      const train = noisyDataset(task, { rows: 2_000, seed: 1 });
      const parameters = trainer.algorithm === "gbdt" ? { rounds: 100 } : {};
      const model = await trainer.fit(train, { task, parameters, seed: 1 });
      const file = model.toOnnx(metadataFor(train, task));
      const heldOut = noisyDataset(task, { rows: 5_000, seed: 2 });
      const answers = model.predict(heldOut);
      const { rows, largestDifference } = await verifyModelFile(file, { dataset: heldOut, answers });
      assertEquals(rows, 5_000);
      assertLess(largestDifference, 1e-6);
    });
  }
}

for (const trainer of TRAINERS.values()) {
  for (const task of trainer.tasks) {
    Deno.test(`verifyModelFile() finds categories in the file of ${trainer.algorithm} as it has learnt them (${task})`, async () => {
      const train = mixedDataset(task, { rows: 2_000, seed: 1 });
      const parameters = trainer.algorithm === "gbdt" ? { rounds: 50 } : {};
      const model = await trainer.fit(train, { task, parameters, seed: 1 });
      const file = model.toOnnx(metadataFor(train, task));
      // Its rare texts are others than those of the training rows.
      const heldOut = mixedDataset(task, { rows: 3_000, seed: 2 });
      const answers = model.predict(heldOut);
      const { largestDifference } = await verifyModelFile(file, { dataset: heldOut, answers });
      assertLess(largestDifference, 1e-6);
      const inputs = readModel(file).inputs.map(({ name, type, dims }) => ({ name, type, dims }));
      assertEquals(inputs, [
        { name: "features", type: "float", dims: ["rows", 4] },
        { name: "categories", type: "string", dims: ["rows", 1] },
      ]);
      if (trainer.algorithm === "prior") {
        assertThrows(() => createExplainer(file), AppError, "Cannot explain the model");
        return;
      }

      const explainer = createExplainer(file);
      const { base, contributions } = explainer.explain(modelBatch(heldOut, 0, 50));
      const { outputs } = model;
      for (let row = 0; row < 50; row++) {
        const scores = Array.from({ length: outputs }, (_, output) => {
          let score = base[output]!;
          for (let input = 0; input < 5; input++) {
            score += contributions[(row * 5 + input) * outputs + output]!;
          }
          return score;
        });
        const sumOf = (values: number[]) => values.reduce((total, value) => total + value, 0);
        scores.forEach((score, output) => {
          const answer = {
            log_odds: 1 / (1 + Math.exp(-score)),
            log_scores: Math.exp(score) / sumOf(scores.map(Math.exp)),
            scores: score / sumOf(scores),
            value: score,
          };
          assertAlmostEquals(answer[explainer.scale], answers[row * outputs + output]!, 1e-5);
        });
      }
    });
  }
}

for (const task of ["binary", "regression"] as const) {
  Deno.test(`verifyModelFile() finds the file of trees exact on thresholds and next to them (${task})`, async () => {
    const train = noisyDataset(task, { rows: 2_000, seed: 1 });
    const model = await TRAINERS.get("gbdt")!.fit(train, { task, parameters: { rounds: 50 }, seed: 1 });
    const near = findBinning({ ...train, vocabularies: train.dictionaries }, { maxBins: 255, seed: 1 }, {
      memory: thresholdMemory(train.columns.length),
      team: ALONE,
    }).flatMap(({ feature, thresholds }) =>
      [...thresholds!.slice(0, -1)].flatMap((threshold) => {
        const float = Float32Array.of(threshold);
        const bits = new Int32Array(float.buffer);
        return [-1, 0, 1].map((step) => {
          const neighbour = new Float32Array(Int32Array.of(bits[0]! + step).buffer)[0]!;
          return train.columns.map((column, index) => index === feature ? neighbour : column[0]!);
        });
      })
    );
    const columns = train.columns.map((_, index) => near.map((row) => row[index]!));
    const dataset = datasetOf(columns, near.map(() => 0));
    assert(dataset.rows > 500);
    const file = model.toOnnx(metadataFor(train, task));
    const { largestDifference } = await verifyModelFile(file, { dataset, answers: model.predict(dataset) });
    assertLess(largestDifference, 1e-6);
  });
}

Deno.test("verifyModelFile() finds large values that cancel out exact enough", async () => {
  const plain = noisyDataset("regression", { rows: 3_000, seed: 1 });
  const train = datasetOf(plain.columns, plain.labels.map((label) => label * 1e6));
  const model = await TRAINERS.get("gbdt")!.fit(train, { task: "regression", parameters: {}, seed: 1 });
  const file = model.toOnnx(metadataFor(train, "regression"));
  await verifyModelFile(file, { dataset: train, answers: model.predict(train) });
});

Deno.test("verifyModelFile() finds large features with a small spread exact", async () => {
  const train = datasetOf(
    [Array.from({ length: 500 }, (_, row) => 1.6e9 + 128 * (row % 40))],
    Array.from({ length: 500 }, (_, row) => row % 40 > 15 + (row % 7) ? 1 : 0),
  );
  const model = await TRAINERS.get("logistic")!.fit(train, { task: "binary", parameters: {}, seed: 1 });
  const file = model.toOnnx(metadataFor(train, "binary"));
  const { largestDifference } = await verifyModelFile(file, {
    dataset: train,
    answers: model.predict(train),
  });
  assertLess(largestDifference, 1e-7);
});

Deno.test("verifyModelFile() refuses a file that answers otherwise in a single row", async () => {
  const train = noisyDataset("binary", { rows: 500, seed: 1 });
  const model = await TRAINERS.get("logistic")!.fit(train, { task: "binary", parameters: {}, seed: 1 });
  const file = model.toOnnx(metadataFor(train, "binary"));
  const answers = model.predict(train);
  const verify = (changed: Float64Array) => verifyModelFile(file, { dataset: train, answers: changed });
  await verify(answers.with(7, answers[7]! + 0.9e-5));
  const error = await assertRejects(() => verify(answers.with(7, answers[7]! + 1.1e-5)), AppError);
  assertEquals(error.code, "unprocessable");
  await assertRejects(() => verify(answers.with(7, NaN)), AppError, "in row 7, the trainer NaN");
});

Deno.test("scoreWithFile() lines calls up that come at once", async () => {
  const train = noisyDataset("binary", { rows: 5_000, seed: 1 });
  const model = await TRAINERS.get("gbdt")!.fit(train, {
    task: "binary",
    parameters: { rounds: 20 },
    seed: 1,
  });
  const file = model.toOnnx(metadataFor(train, "binary"));
  const [first, ...others] = await Promise.all([1, 2, 3].map(() => scoreWithFile(file, train)));
  for (const other of others) assertEquals(other, first);
});

Deno.test("scoreWithFile() refuses what is no model, and rows of another width", async () => {
  const train = noisyDataset("binary", { rows: 500, seed: 1 });
  await assertRejects(() => scoreWithFile(new Uint8Array(9), train), AppError);
  const model = await TRAINERS.get("prior")!.fit(train, { task: "binary", parameters: {}, seed: 1 });
  const file = model.toOnnx(metadataFor(train, "binary"));
  await assertRejects(() => scoreWithFile(file, datasetOf([[1, 2]], [0, 1])), AppError);
});

Deno.test("scoreWithFile() also works in a worker", async () => {
  const train = noisyDataset("binary", { rows: 500, seed: 1 });
  const model = await TRAINERS.get("logistic")!.fit(train, { task: "binary", parameters: {}, seed: 1 });
  const code = `import { scoreWithFile } from "${new URL("verify.ts", import.meta.url)}";
    self.onmessage = async ({ data }) => self.postMessage(await scoreWithFile(data.file, data.train));
    self.postMessage("ready");`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  try {
    const file = model.toOnnx(metadataFor(train, "binary"));
    const outputs = await new Promise<Float64Array>((resolve, reject) => {
      worker.onerror = reject;
      worker.onmessage = ({ data }) => data === "ready" ? worker.postMessage({ file, train }) : resolve(data);
    });
    assertEquals(outputs, await scoreWithFile(file, train));
  } finally {
    worker.terminate();
    URL.revokeObjectURL(url);
  }
});

Deno.test("toOnnx() describes the model in the file, and refuses another model's signature", async () => {
  const train = noisyDataset("binary", { rows: 500, seed: 1 });
  const metadata = metadataFor(train, "binary");
  const fitted = await Promise.all(
    [...TRAINERS.values()].map((trainer) => trainer.fit(train, { task: "binary", parameters: {}, seed: 1 })),
  );
  for (const model of fitted) {
    const summary = readModel(model.toOnnx(metadata));
    assertEquals(summary.inputs, [{ name: "features", type: "float", dims: ["rows", 4] }]);
    assertEquals(summary.outputs, [{ name: "probability", type: "float", dims: ["rows"] }]);
    assertEquals(JSON.parse(summary.metadata[MODEL_METADATA.signature]!), metadata.signature);
    assertEquals(JSON.parse(summary.metadata[MODEL_METADATA.trainingSet]!), metadata.trainingSet);
    assertEquals(JSON.parse(summary.metadata[MODEL_METADATA.referenceBins]!), []);
    const refuse = (task: Task, change: object) => {
      const other = metadataFor(train, task);
      try {
        model.toOnnx({ ...other, signature: { ...other.signature, ...change } });
      } catch (error) {
        assert(error instanceof AppError && error.code === "invalid");
        return;
      }
      throw new Error("It was exported");
    };
    refuse("binary", { inputs: metadata.signature.inputs.toReversed() });
    refuse("binary", { output: "value" });
    refuse("regression", {});
  }
});
