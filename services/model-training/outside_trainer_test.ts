import { assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import {
  getRun,
  listVersions,
  runMetrics,
  startRun,
  type TrainerMessage,
} from "shared/contracts/model_training.ts";
import { MODEL_METADATA } from "shared/contracts/signature.ts";
import { readModel } from "shared/onnx/reader.ts";
import { readTrainingSet } from "shared/training_set_file.ts";
import { compare, ended, model, promote, startStand } from "./testing/stand.ts";
import { learnMeans, startTestTrainer } from "./testing/trainer.ts";

const ask = { model, algorithm: "class_means", parameters: { shrinkage: 0.5, kind: "plain" } };

Deno.test("model-training has a trainer outside it learn, and judges and registers its file", async () => {
  await using stand = await startStand();
  const { service } = stand;
  await using trainer = startTestTrainer(service.bus, "class_means", async (job, say) => {
    say({ log: "begins" });
    say({ progress: { round: 1, rounds: 2, metrics: { training_loss: 0.6 } } });
    return { onnx: await learnMeans(service.bus, job), facts: { weights: job.features.length } };
  });
  const { id } = await service.call(startRun, ask);
  const run = await ended(service, id);

  assertEquals([run.error, run.algorithm, run.version], [null, "class_means", 1]);
  assertEquals(run.parameters, ask.parameters);
  assertEquals(run.metrics["weights"], 3);
  const { model: own, baseline } = run.evaluation!;
  assertLess(own["log_loss"]!, baseline["log_loss"]!);
  assertEquals((await service.call(runMetrics, { id })).points, [{
    name: "training_loss",
    step: 1,
    value: 0.6,
  }]);

  const [job] = trainer.jobs;
  assertEquals([job!.run, job!.model, job!.seed, job!.validationSet], [id, model, 1, null]);
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
  await using _failing = says("failing", { error: "out of memory" });
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
