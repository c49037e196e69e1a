import { assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { getRun, listVersions, putModel, runMetrics, startRun } from "shared/contracts/model_training.ts";
import { MODEL_METADATA } from "shared/contracts/signature.ts";
import { readModel } from "shared/onnx/reader.ts";
import { readTrainingSet } from "shared/training_set_file.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestFeatureStore } from "./testing/feature_store.ts";
import { observe } from "./testing/observations.ts";
import { compare, ended, model, promote, put, start, startStand, WEEKS } from "./testing/stand.ts";
import { learnMeans, startTestTrainer, type TrainerMessage } from "./testing/trainer.ts";

const ask = { model, algorithm: "class_means", parameters: { shrinkage: 0.5, kind: "plain" } };

Deno.test("model-training has a trainer outside it learn, and judges and registers its file", async () => {
  await using stand = await startStand();
  const { service } = stand;
  await using trainer = startTestTrainer(service.bus, "class_means", async (job, say) => {
    say({ log: "begins" });
    say({ progress: { round: 1, rounds: 2, metrics: { training_loss: 0.6 } } });
    return {
      onnx: await learnMeans(service.bus, job),
      facts: { weights: job.features.length },
      environment: { numpy: "2.3" },
    };
  });
  const { id } = await service.call(startRun, ask);
  const run = await ended(service, id);

  assertEquals([run.error, run.algorithm, run.version], [null, "class_means", 1]);
  assertEquals(run.parameters, ask.parameters);
  assertEquals(run.metrics["weights"], 3);
  assertEquals([run.environment["numpy"], run.environment["deno"]], ["2.3", Deno.version.deno]);
  const { model: own, baseline } = run.evaluation!;
  assertLess(own["log_loss"]!, baseline["log_loss"]!);
  assertEquals((await service.call(runMetrics, { id })).points, [{
    name: "training_loss",
    step: 1,
    value: 0.6,
  }]);

  const [job] = trainer.jobs;
  assertEquals([job!.run, job!.model, job!.seed, job!.validationSet], [id, model, 1, null]);
  assertEquals([job!.categories, job!.classes], [[], ["0", "1"]]);
  const given = await readTrainingSet(await service.bus.files.get(job!.trainingSet));
  assertEquals(given.entities.length, run.evaluation!.trainRows, "the test part stays with the service");
  assertEquals(Math.max(...given.times), Date.parse(run.evaluation!.trainUntil));

  const { versions: [version] } = await service.call(listVersions, { model });
  const { metadata, inputs, outputs } = readModel(await service.bus.files.get(version!.sha256));
  assertEquals([inputs.map(({ name }) => name), outputs.map(({ name }) => name)], [["features"], [
    "probability",
  ]]);
  assertEquals(JSON.parse(metadata[MODEL_METADATA.signature]!), version!.signature);
  const comparison = await compare(service, 1);
  assertLess(Math.abs(comparison.candidateValue! - own["log_loss"]!), 1e-6);
  assertEquals((await promote(service, 1)).changed, true);
});

Deno.test("model-training says what went wrong with a trainer outside it", async () => {
  await using stand = await startStand({ env: { TRAINER_WAIT_SECONDS: "1", TRAINER_SILENCE_SECONDS: "1" } });
  const { service } = stand;
  const failure = async (algorithm: string) => {
    const { id } = await service.call(startRun, { ...ask, algorithm });
    const run = await ended(service, id);
    assertEquals([run.status, run.version], ["failed", null]);
    return run.error!;
  };
  assertStringIncludes(await failure("nobody"), "no trainer answers training.trainers.nobody within 1 s");
  const says = (algorithm: string, last: TrainerMessage | "silence") =>
    startTestTrainer(service.bus, algorithm, () => Promise.resolve(last));
  // As one says it that does not care to be acknowledged.
  await using _failing = startTestTrainer(service.bus, "failing", (_, say) => {
    say({ error: "out of memory" });
    return Promise.resolve("silence");
  });
  assertStringIncludes(await failure("failing"), "it failed: out of memory");
  await using _silent = says("silent", "silence");
  assertStringIncludes(await failure("silent"), "it has said nothing for 1 s");
  await using _odd = says("odd", { done: true } as unknown as TrainerMessage);
  assertStringIncludes(await failure("odd"), "understand the trainer");
  const noModel = await service.bus.files.put(new TextEncoder().encode("no model"));
  await using _broken = says("broken", { onnx: noModel, facts: {} });
  assertStringIncludes(await failure("broken"), "Cannot read the ONNX file");
  const { id } = await service.call(startRun, { model });
  assertEquals((await ended(service, id)).status, "done");
  assertEquals((await service.call(getRun, { id })).artifacts.map(({ name }) => name), ["model.onnx"]);
});

Deno.test("model-training gets the result of a trainer that ends while NATS is away", async () => {
  await using bus = await startTestBus();
  await using _features = await startTestFeatureStore(bus, observe({ weeks: WEEKS }));
  await using service = await start({ bus });
  await service.call(putModel, put());
  await using own = await bus.connect();
  const away = Promise.withResolvers<void>();
  await using trainer = startTestTrainer(own, "class_means", async (job, say) => {
    say({ progress: { round: 0, rounds: 1, metrics: {} } });
    const onnx = await learnMeans(own, job);
    await bus.server.kill();
    away.resolve();
    return { onnx, facts: {} };
  });
  const { id } = await service.call(startRun, ask);
  await away.promise;
  await bus.server.restart();
  const { error, version } = await ended(service, id);
  assertEquals([error, version, trainer.jobs.length], [null, 1, 1]);
});

Deno.test("model-training asks again when NATS went away before the trainer said anything", async () => {
  await using bus = await startTestBus();
  await using _features = await startTestFeatureStore(bus, observe({ weeks: WEEKS }));
  await using service = await start({ bus });
  await service.call(putModel, put());
  await using own = await bus.connect();
  let taken = 0;
  await using _trainer = startTestTrainer(own, "class_means", async (job) => {
    taken++;
    return taken === 1 ? "silence" : { onnx: await learnMeans(own, job), facts: {} };
  });
  const { id } = await service.call(startRun, ask);
  await eventually(() => assertEquals(taken, 1));
  await bus.server.kill();
  await bus.server.restart();
  assertEquals((await ended(service, id)).error, null);
});

Deno.test("a run that another copy takes up hears the trainer that was asked before", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-training");
  await using _features = await startTestFeatureStore(bus, observe({ weeks: WEEKS }));
  const copy = { bus, databaseUrl: database.url };
  const first = await start(copy);
  await first.call(putModel, put());
  const taken = Promise.withResolvers<void>();
  await using trainer = startTestTrainer(bus, "class_means", async (job) => {
    if (trainer.jobs.length > 1) {
      taken.resolve();
      return "silence";
    }
    const onnx = await learnMeans(bus, job);
    await taken.promise;
    return { onnx, facts: {} };
  });
  const { id } = await first.call(startRun, ask);
  await eventually(() => assertEquals(trainer.jobs.length, 1));
  await first.stop();
  await using second = await start(copy);
  const { error, version } = await ended(second, id);
  assertEquals([error, version, trainer.jobs.length], [null, 1, 2]);
});
