import { assert, assertEquals, assertRejects } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { silentLogger } from "shared/log.ts";
import { admitModelFile } from "shared/onnx/admission.ts";
import type { ModelBatch, ModelShape } from "shared/onnx/model_batch.ts";
import { createRuntimeCode } from "shared/onnx/runtime_code.ts";
import { delay } from "shared/delay.ts";
import { eventually } from "shared/testing/poll.ts";
import {
  deepModelFile,
  doublingModelFile,
  loopModelFile,
  trapModelFile,
  wideModelFile,
} from "../testing/hostile_file.ts";
import { sumModelFile } from "../testing/model_file.ts";
import { type Forest, randomForest, seededRandom, VOCABULARY } from "../testing/random_forest.ts";
import type { LoadedModel } from "./runtime.ts";
import { compileTrees } from "./tree_program.ts";
import { loadTrees } from "./tree_walker.ts";
import { createWasmRuntime, type WasmLimits } from "./wasm_runtime.ts";

const TWO: ModelShape = { numbers: 2, categories: 0, outputs: 1 };

const batchOf = (rows: readonly number[][]): ModelBatch => ({
  rows: rows.length,
  numbers: Float32Array.from(rows.flat()),
  categories: [],
});

const code = createRuntimeCode();

function startWasm(limits: WasmLimits = {}) {
  const runtime = createWasmRuntime({ log: silentLogger, code, limits });
  return Object.assign(runtime, { [Symbol.asyncDispose]: () => runtime.stop() });
}

const walkerOf = (file: Uint8Array, shape = TWO): LoadedModel => {
  const program = compileTrees(admitModelFile(file), shape);
  assert(program !== undefined, "the walker does not take the file");
  return loadTrees(program, shape);
};

/** How each runtime loads a file of two features. */
const RUNTIMES: Record<string, () => { load(file: Uint8Array): Promise<LoadedModel> } & AsyncDisposable> = {
  "the WASM runtime": () => {
    const wasm = startWasm();
    return {
      load: (file) => wasm.load(file, TWO),
      [Symbol.asyncDispose]: () => wasm.stop(),
    };
  },
  "the tree walker": () => ({
    load: (file) => Promise.resolve(walkerOf(file)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
};

const forest = (seed: number, more: Partial<Parameters<typeof randomForest>[0]> = {}): Forest =>
  randomForest({ trees: 5, depth: 4, numbers: 2, precision: "float", sigmoid: true, seed, ...more });

for (const [name, start] of Object.entries(RUNTIMES)) {
  Deno.test(`${name} answers a row alike, alone and among others, whoever else asks at the time`, async () => {
    await using runtime = start();
    const models = await Promise.all([1, 2, 3].map((seed) => runtime.load(forest(seed).file)));
    const random = seededRandom(7);
    const rows = Array.from({ length: 40 }, () => [random() * 2 - 1, random() * 2 - 1]);
    const alone = await Promise.all(
      models.map(async (model) => {
        const answers = [];
        for (const row of rows) answers.push((await model.predict(batchOf([row])))[0]);
        return answers;
      }),
    );
    // All at once, over all models, after an await of different length: overlapping runs would corrupt the instance.
    const asked = rows.flatMap((row, index) =>
      models.map(async (model, which) => {
        await delay(index % 3);
        const [first, second] = await model.predict(batchOf([row, rows[(index + 1) % rows.length]!]));
        assertEquals([first, second], [alone[which]![index], alone[which]![(index + 1) % rows.length]]);
      })
    );
    await Promise.all(asked);
    for (const model of models) await model.unload();
  });

  Deno.test(`${name} refuses values that are not the rows they are said to be`, async () => {
    await using runtime = start();
    const model = await runtime.load(forest(1).file);
    const short = { rows: 2, numbers: new Float32Array(3), categories: [] };
    await assertRejects(() => model.predict(short), RangeError);
    // And goes on.
    assertEquals((await model.predict(batchOf([[0, 0]]))).length, 1);
  });

  Deno.test(`${name} scores missing and infinite values`, async () => {
    await using runtime = start();
    const model = await runtime.load(forest(3).file);
    const outputs = await model.predict(batchOf([[NaN, 0], [Infinity, -Infinity], [NaN, NaN]]));
    assertEquals([...outputs].map((value) => value > 0 && value < 1), [true, true, true]);
  });
}

Deno.test("the tree walker answers bit for bit as ONNX Runtime does", async () => {
  await using wasm = startWasm();
  const operators = ["TreeEnsemble", "TreeEnsembleRegressor"] as const;
  for (let seed = 1; seed <= 24; seed++) {
    const precision = seed % 3 === 0 ? "double" : "float";
    const operator = operators[seed % 2]!;
    const numbers = 1 + seed % 20;
    const categories = operator === "TreeEnsemble" && seed % 4 === 0 ? 3 : 0;
    const shape = { numbers, categories, outputs: 1 };
    const { file, thresholds, random } = randomForest({
      trees: 1 + (seed * 7) % 130,
      depth: 1 + seed % 8,
      numbers,
      categories,
      precision,
      operator,
      sigmoid: precision === "float" && seed % 5 !== 0,
      seed,
    });
    const walker = walkerOf(file, shape);
    const model = await wasm.load(file, shape);
    const unusual = [NaN, Infinity, -Infinity, -0, 3e38, 1e-45];
    const pick = <T>(values: readonly T[]) => values[Math.floor(random() * values.length)]!;
    for (const rows of [1, 2, 50, 700]) {
      const batch: ModelBatch = {
        rows,
        numbers: Float32Array.from({ length: rows * numbers }, () => {
          const dice = random();
          return dice < 0.15 ? pick(unusual) : dice < 0.5 ? pick(thresholds) : random() * 2 - 1;
        }),
        categories: Array.from({ length: rows * categories }, () => pick(["", "new", ...VOCABULARY])),
      };
      const [walked, run] = [await walker.predict(batch), await model.predict(batch)];
      walked.forEach((value, row) => {
        assert(Object.is(value, run[row]), `forest ${seed}, row ${row}: ${value} is not ${run[row]}`);
      });
    }
    await model.unload();
  }
});

Deno.test("the tree walker leaves to the WASM runtime what are no trees, or would keep everybody waiting", () => {
  const files = {
    "no trees": sumModelFile([1, 2]),
    "a path of many steps": deepModelFile(50_001),
    "any number of columns": doublingModelFile(),
    "rows of other widths": wideModelFile(),
  };
  for (const [name, file] of Object.entries(files)) {
    assertEquals(compileTrees(admitModelFile(file), TWO), undefined, name);
  }
});

/** Counts the threads that are started. */
function countedCode() {
  const counted = {
    threads: 0,
    forThread() {
      counted.threads++;
      return code.forThread();
    },
  };
  return counted;
}

Deno.test("a run over its limit costs its own calls an error, and other models a moment", async () => {
  await using wasm = startWasm({ runMs: 3_000, patienceMs: 50, pauseMs: 60_000 });
  const sum = await wasm.load(sumModelFile([1, 10]), TWO);
  const loop = await wasm.load(loopModelFile(), TWO);
  assertEquals([...await loop.predict(batchOf([[-1, -2]]))], [-3]);

  const hanging = assertRejects(() => loop.predict(batchOf([[1, 2]])), AppError);
  // Asked while the other hangs: answered by the thread that follows, long before that one is ended.
  const waiting = sum.predict(batchOf([[1, 2]]));
  const first = await Promise.race([hanging.then(() => "ended"), waiting.then(() => "answered")]);
  assertEquals([first, ...await waiting], ["answered", 21]);
  assertEquals(((await hanging) as AppError).code, "timeout");
  assertEquals(wasm.replaced, 1);

  // It is not run again at once, so that it can't take the others' time away.
  const paused = await assertRejects(() => loop.predict(batchOf([[-1, -2]])), AppError) as AppError;
  assertEquals(paused.code, "unavailable");
  assert((paused.retryAfter ?? 0) > 0);
  assertEquals([...await sum.predict(batchOf([[3, 4]]))], [43]);
});

Deno.test("a model whose run took long while others waited has a thread of its own, until it is unloaded", async () => {
  const counted = countedCode();
  const limits = { runMs: 1_000, patienceMs: 20, pauseMs: 1 };
  const wasm = createWasmRuntime({ log: silentLogger, code: counted, limits });
  const sum = await wasm.load(sumModelFile([1, 10]), TWO);
  const loop = await wasm.load(loopModelFile(), TWO);
  const hang = () => assertRejects(() => loop.predict(batchOf([[1, 2]])), AppError);
  const answersOf = (model: LoadedModel) => model.predict(batchOf([[-1, -2]]));

  // While nobody waits, its thread stays everybody's.
  await hang();
  assertEquals([...await answersOf(sum), counted.threads], [-21, 2]);
  const hanging = hang();
  assertEquals([...await answersOf(sum), counted.threads], [-21, 3]);
  await hanging;
  await eventually(async () => assertEquals([...await answersOf(loop)], [-3]));
  assertEquals(counted.threads, 4);
  const again = hang();
  assertEquals([...await answersOf(sum), counted.threads], [-21, 4]);
  await again;
  await loop.unload();
  assertEquals([...await answersOf(sum), counted.threads, wasm.replaced], [-21, 4, 3]);
  await wasm.stop();
});

Deno.test("a run that takes long while others wait is answered, and its model keeps the thread", async () => {
  const counted = countedCode();
  const wasm = createWasmRuntime({ log: silentLogger, code: counted, limits: { patienceMs: 1 } });
  const sum = await wasm.load(sumModelFile([1, 10]), TWO);
  const slow = await wasm.load(sumModelFile([3, 0]), TWO);
  const rows = 4_000_000;
  const long = slow.predict({ rows, numbers: new Float32Array(2 * rows).fill(2), categories: [] });
  assertEquals([...await sum.predict(batchOf([[1, 2]])), counted.threads], [21, 2]);
  assert((await long).every((value) => value === 6));
  // Each goes on where it is.
  for (let time = 0; time < 3; time++) {
    const answers = await Promise.all([slow, sum].map((model) => model.predict(batchOf([[1, 2]]))));
    assertEquals([...answers.map(([value]) => value), counted.threads], [3, 21, 2]);
  }
  await wasm.stop();
});

Deno.test("a thread whose runs were stopped in the middle too often is replaced, since each of them keeps memory", async () => {
  const counted = countedCode();
  const wasm = createWasmRuntime({ log: silentLogger, code: counted, limits: { trapsOfInstance: 3 } });
  const sum = await wasm.load(sumModelFile([1, 10]), TWO);
  const model = await wasm.load(trapModelFile(), TWO);
  for (let trap = 1; trap <= 3; trap++) {
    const failed = await assertRejects(() => model.predict(batchOf([[1, 0]])), AppError);
    assertEquals([failed.code, counted.threads], ["internal", 1]);
    // A failure that the runtime itself tells of is none of these.
    await assertRejects(() => model.predict(batchOf([[2, 0]])), AppError, "by zero");
  }
  assertEquals([...await sum.predict(batchOf([[1, 2]])), counted.threads], [21, 2]);
  assertEquals((await model.predict(batchOf([[0, 0]]))).length, 1);
  await wasm.stop();
});

Deno.test("an instance that has loaded many models is replaced with those in it that are in use", async () => {
  await using wasm = startWasm({ loadsOfInstance: 5 });
  const kept = await wasm.load(sumModelFile([1, 0]), TWO);
  for (let swap = 1; swap <= 12; swap++) {
    const model = await wasm.load(sumModelFile([swap, 0]), TWO);
    assertEquals([...await model.predict(batchOf([[2, 0]]))], [2 * swap]);
    assertEquals([...await kept.predict(batchOf([[2, 0]]))], [2]);
    await model.unload();
  }
  assertEquals(wasm.replaced, 0);
});

Deno.test("models are asked, and unloaded, while the thread that is to follow theirs is still loading", async () => {
  const threads: PromiseWithResolvers<void>[] = [];
  const gated = {
    async forThread() {
      const gate = Promise.withResolvers<void>();
      threads.push(gate);
      await gate.promise;
      return await code.forThread();
    },
  };
  const wasm = createWasmRuntime({ log: silentLogger, code: gated, limits: { loadsOfInstance: 2 } });
  const first = wasm.load(sumModelFile([1, 0]), TWO);
  await eventually(() => threads[0]!.resolve());
  const kept = await first;
  const other = await wasm.load(sumModelFile([2, 0]), TWO);

  const loading = wasm.load(sumModelFile([3, 0]), TWO);
  await eventually(() => assertEquals(threads.length, 2));
  assertEquals([...await kept.predict(batchOf([[2, 0]]))], [2]);
  await other.unload();
  threads[1]!.resolve();
  const next = await loading;
  assertEquals([...await next.predict(batchOf([[2, 0]]))], [6]);
  assertEquals([...await kept.predict(batchOf([[3, 0]]))], [3]);
  assertEquals([threads.length, wasm.replaced], [2, 0]);
  await wasm.stop();
});

Deno.test("an instance is not replaced at each load once it holds as many models as it may load", async () => {
  const counted = countedCode();
  const wasm = createWasmRuntime({ log: silentLogger, code: counted, limits: { loadsOfInstance: 4 } });
  const models = [];
  for (let model = 1; model <= 12; model++) {
    models.push(await wasm.load(sumModelFile([model, 0]), TWO));
  }
  for (const [index, model] of models.entries()) {
    assertEquals([...await model.predict(batchOf([[2, 0]]))], [2 * (index + 1)]);
  }
  assertEquals(counted.threads, 3);
  await wasm.stop();
});

Deno.test("the WASM runtime refuses what is no model, and goes on", async () => {
  await using wasm = startWasm();
  const refused = await assertRejects(() => wasm.load(new TextEncoder().encode("no model"), TWO), AppError);
  assertEquals((refused as AppError).code, "invalid");
  const other = await assertRejects(
    () => wasm.load(sumModelFile([1, 2]), { ...TWO, categories: 1 }),
    AppError,
  );
  assertEquals((other as AppError).code, "invalid");
  const model = await wasm.load(sumModelFile([1, 2]), TWO);
  assertEquals([...await model.predict(batchOf([[1, 1]]))], [3]);
});
