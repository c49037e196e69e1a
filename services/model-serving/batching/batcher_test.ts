import { assert, assertEquals, assertRejects } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { delay } from "shared/delay.ts";
import type { ModelBatch } from "shared/onnx/model_batch.ts";
import type { LoadedModel } from "../runtime/runtime.ts";
import { seededRandom } from "../testing/random_forest.ts";
import { type BatcherOptions, createBatcher } from "./batcher.ts";

/** CI asks 40,000 times; the long proof a million: `MICROML_BATCH_REQUESTS=1000000`. */
const REQUESTS = Number(Deno.env.get("MICROML_BATCH_REQUESTS") ?? 40_000);

/** Answers each row with twice its one number, as soon as it is let; keeps what it was asked. */
function createModel(
  { factor = 2, gate = () => delay(0) }: { factor?: number; gate?: () => Promise<void> } = {},
) {
  const runs: ModelBatch[] = [];
  let running = 0;
  async function predict(batch: ModelBatch): Promise<Float32Array> {
    assertEquals(++running, 1, "two runs overlap");
    runs.push(batch);
    await gate();
    running--;
    return batch.numbers.map((value) => value * factor);
  }
  const model: LoadedModel = {
    runtime: "test",
    outputWidth: 1,
    predict,
    predictNext: (next) => inTurn(next, predict),
    unload: () => Promise.resolve(),
  };
  return { model, runs };
}

/** What runs alone has its turn at once. */
async function inTurn(next: () => ModelBatch | undefined, predict: LoadedModel["predict"]) {
  const batch = next();
  return batch && await predict(batch);
}

const create = (model: LoadedModel, options: Partial<BatcherOptions> = {}) =>
  createBatcher(model, { model: "test", maxRows: 64, maxWaitingRows: 1_000, ...options });

const batchOf = (values: readonly number[]): ModelBatch => ({
  rows: values.length,
  numbers: Float32Array.from(values),
  categories: [],
});

Deno.test(`no answer is mixed up among ${REQUESTS} concurrent calls of random sizes over several models`, async () => {
  const random = seededRandom(11);
  const models = [2, 3, 5].map((factor) => {
    const { model, runs } = createModel({ factor });
    return { factor, runs, batcher: create(model, { maxRows: 256, maxWaitingRows: Infinity }) };
  });
  let asked = 0;
  let next = 0;
  const caller = async () => {
    while (asked < REQUESTS) {
      asked++;
      const { factor, batcher } = models[Math.floor(random() * models.length)]!;
      // Every number is asked once (float32 holds integers to 2^24), so that an answer shows whose it is.
      const values = Array.from({ length: 1 + Math.floor(random() * 12) }, () => next++ % 2 ** 21);
      const { outputs } = await batcher.predict(batchOf(values));
      if (outputs.length !== values.length || values.some((value, at) => outputs[at] !== value * factor)) {
        throw new Error(`${values} was answered with ${outputs}`);
      }
      if (random() < 0.01) await delay(0);
    }
  };
  await Promise.all(Array.from({ length: 200 }, caller));
  for (const { runs } of models) {
    const rows = runs.map((run) => run.rows);
    assert(Math.max(...rows) > 12, "calls were collected into runs");
    assert(rows.every((count) => count <= 256), "no run is larger than it may be");
  }
});

Deno.test("a batch is counted in rows, and a call that is larger than a run goes alone", async () => {
  const { model, runs } = createModel();
  const batcher = create(model, { maxRows: 10 });
  await Promise.all([
    batcher.predict(batchOf([1, 2, 3, 4, 5, 6])),
    batcher.predict(batchOf([7, 8, 9, 10])),
    batcher.predict(batchOf([11])),
    batcher.predict(batchOf(Array.from({ length: 25 }, (_, at) => at))),
    batcher.predict(batchOf([12])),
  ]);
  assertEquals(runs.map(({ rows }) => rows), [10, 1, 25, 1]);
});

Deno.test("a call is refused with Retry-After when too many rows wait, and those that wait are answered", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { model } = createModel({ gate: () => promise });
  const batcher = create(model, { maxRows: 4, maxWaitingRows: 6 });
  const running = batcher.predict(batchOf([1, 2]));
  await delay(5);
  const waiting = [batcher.predict(batchOf([3, 4, 5])), batcher.predict(batchOf([6, 7, 8]))];
  const refused = await assertRejects(() => batcher.predict(batchOf([9])), AppError) as AppError;
  assertEquals([refused.code, refused.retryAfter], ["unavailable", 1]);
  resolve();
  assertEquals([...(await running).outputs], [2, 4]);
  assertEquals((await Promise.all(waiting)).map(({ outputs }) => [...outputs]), [[6, 8, 10], [12, 14, 16]]);
  assertEquals(batcher.waitingRows, 0);
});

Deno.test("a call whose deadline passes before its run is refused, and does not take part in it", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { model, runs } = createModel({ gate: () => promise });
  const batcher = create(model);
  const running = batcher.predict(batchOf([1]));
  await delay(5);
  const late = batcher.predict(batchOf([2]), { deadline: performance.now() - 1 });
  const patient = batcher.predict(batchOf([3]), { deadline: performance.now() + 60_000 });
  resolve();
  assertEquals((await assertRejects(() => late, AppError) as AppError).code, "timeout");
  await Promise.all([running, patient]);
  assertEquals(runs.map(({ numbers }) => [...numbers]), [[1], [3]]);
  assertEquals(batcher.waitingRows, 0);
});

Deno.test("a call is told that it is late when it is, however long the run before it takes", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { model, runs } = createModel({ gate: () => promise });
  const batcher = create(model);
  const running = batcher.predict(batchOf([1]));
  await delay(5);
  const patient = batcher.predict(batchOf([2]), { deadline: performance.now() + 1e15 });
  const late = [30, 10, 20].map((ms) =>
    assertRejects(() => batcher.predict(batchOf([ms]), { deadline: performance.now() + ms }), AppError)
  );
  // The run is still on.
  for (const refused of await Promise.all(late)) assertEquals((refused as AppError).code, "timeout");
  assertEquals([runs.length, batcher.waitingRows], [1, 1]);
  resolve();
  await Promise.all([running, patient]);
  assertEquals(runs.map(({ numbers }) => [...numbers]), [[1], [2]]);
});

Deno.test("calls that come while a run waits for its turn take part in it, and wait in the queue until then", async () => {
  const turn = Promise.withResolvers<void>();
  const { model, runs } = createModel();
  const batcher = create({
    ...model,
    async predictNext(next) {
      await turn.promise;
      return await inTurn(next, model.predict);
    },
  });
  const first = batcher.predict(batchOf([1]));
  await delay(5);
  const late = batcher.predict(batchOf([2]), { deadline: performance.now() + 5 });
  const second = batcher.predict(batchOf([3]));
  assertEquals((await assertRejects(() => late, AppError) as AppError).code, "timeout");
  turn.resolve();
  const [{ queueMs, runMs, batchRows }] = await Promise.all([first, second]);
  assertEquals([runs.map(({ numbers }) => [...numbers]), batchRows], [[[1, 3]], 2]);
  assert(queueMs > runMs, `waiting for the turn is ${queueMs} ms of queue, and the run took ${runMs}`);
});

Deno.test("calls of a higher priority run first, and each in the order of arrival", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { model, runs } = createModel({ gate: () => promise });
  const batcher = create(model, { maxRows: 2 });
  const calls = [batcher.predict(batchOf([0]))];
  await delay(5);
  for (
    const [value, priority] of [[1, "low"], [2, "normal"], [3, "high"], [4, "normal"], [5, "high"]] as const
  ) {
    calls.push(batcher.predict(batchOf([value]), { priority }));
  }
  resolve();
  await Promise.all(calls);
  assertEquals(runs.map(({ numbers }) => [...numbers]), [[0], [3, 5], [2, 4], [1]]);
});

Deno.test("a run that fails fails its own calls, and those after it are answered", async () => {
  const { model } = createModel();
  let runs = 0;
  const batcher = create({
    ...model,
    predictNext: (next) =>
      inTurn(next, (batch) => runs++ === 0 ? Promise.reject(new Error("it broke")) : model.predict(batch)),
  }, { maxRows: 2 });
  const failing = [batcher.predict(batchOf([1])), batcher.predict(batchOf([2]))];
  const next = batcher.predict(batchOf([3]));
  for (const call of failing) await assertRejects(() => call, Error, "it broke");
  assertEquals([...(await next).outputs], [6]);
});

Deno.test("a model that answers at once runs the calls of a turn together, and when a run is full", async () => {
  const { runtime, outputWidth, predict, unload } = createModel().model;
  const runs: number[] = [];
  const predictNow = ({ rows, numbers }: ModelBatch) => {
    runs.push(rows);
    if (numbers.includes(9)) throw new Error("it broke");
    return numbers.map((value) => value * 2);
  };
  const model: LoadedModel = { runtime, outputWidth, predict, predictNow, unload };
  const batcher = create(model, { maxRows: 4, maxWaitingRows: 4 });
  const answers = Array.from({ length: 11 }, (_, value) => batcher.predict(batchOf([value])));
  // None waits for more than a run, so that none is refused.
  assertEquals(runs, [4, 4]);
  const outcomes = await Promise.allSettled(answers);
  assertEquals(runs, [4, 4, 3]);
  assertEquals(
    outcomes.map((outcome) => outcome.status === "fulfilled" ? [...outcome.value.outputs] : "failed"),
    [[0], [2], [4], [6], [8], [10], [12], [14], "failed", "failed", "failed"],
  );
  assertEquals([...(await batcher.predict(batchOf([5, 6, 7, 8, 10]))).outputs], [10, 12, 14, 16, 20]);
});
