import { assertEquals, assertGreater, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import { Objm } from "@nats-io/obj";
import { listVersions } from "shared/contracts/model_training.ts";
import { FILES_BUCKET } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { observe } from "./testing/observations.ts";
import { compare, model, promote, startStand, train, WEEKS } from "./testing/stand.ts";

Deno.test("compareVersions() lets a better candidate pass and keeps a worse one out", async () => {
  await using stand = await startStand();
  const { service } = stand;
  const weak = await train(service, { parameters: { rounds: 8, learningRate: 0.05, maxLeaves: 4 } });
  const first = await compare(service, weak);
  assertEquals([first.passed, first.champion, first.championValue, first.gain], [true, null, null, null]);
  assertStringIncludes(first.reasons[0]!, "there is no champion to compare with");
  const { versions: [registered] } = await service.call(listVersions, { model });
  // The file's answers are float32, the trainer's float64.
  assertLess(Math.abs(first.candidateValue! - registered!.evaluation!.model["log_loss"]!), 1e-5);
  assertLess(Math.abs(first.baselineValue! - registered!.evaluation!.baseline["log_loss"]!), 1e-9);
  assertEquals(first.rows, 180);
  await promote(service, weak);

  const better = await train(service);
  const passed = await compare(service, better, "compare-once");
  assertEquals([passed.passed, passed.champion, passed.rows], [true, weak, 180]);
  assertGreater(passed.gain!, 0.02 * passed.championValue!);
  await promote(service, better);
  const overfitted = await train(service, {
    parameters: { rounds: 300, learningRate: 0.5, maxLeaves: 64, minRowsPerLeaf: 1 },
  });
  const refused = await compare(service, overfitted);
  assertEquals([refused.passed, refused.champion], [false, better]);
  assertLess(refused.gain!, 0);
  assertStringIncludes(refused.reasons[0]!, "is worse than the champion's");
  assertEquals((await compare(service, better)).reasons[0]!.includes("equals the champion's"), true);

  const kept = await service.db<{ candidate: number; passed: boolean; gain: number | null }[]>`
    select candidate, passed, gain from comparisons order by at`;
  assertEquals(kept.map(({ candidate, passed }) => [candidate, passed]), [
    [weak, true],
    [better, true],
    [overfitted, false],
    [better, false],
  ]);
  assertEquals(kept[2]!.gain, refused.gain);
  await assertRejects(() => service.db`update comparisons set passed = true`, Error, "only added to");
  await assertRejects(() => service.db`delete from comparisons`, Error, "only added to");
  await assertRejects(() => service.db`truncate comparisons`, Error, "only added to");

  const files = await new Objm(service.bus.js).open(FILES_BUCKET);
  await files.delete(registered!.trainingSet!);
  assertEquals(await compare(service, better, "compare-once"), passed, "the same key gets the same answer");
  await assertRejects(() => compare(service, better), AppError, "is no longer kept");
});

Deno.test("compareVersions() refuses what beats a drifted champion and has learnt nothing", async () => {
  await using stand = await startStand();
  const { service, features } = stand;
  await promote(service, await train(service));
  features.table = observe({ weeks: 60, driftsFrom: WEEKS });

  const idle = await train(service, { parameters: { rounds: 1, learningRate: 0.001 } });
  const refused = await compare(service, idle);
  assertGreater(refused.championValue!, refused.baselineValue!);
  assertGreater(refused.gain!, 0.02 * refused.championValue!);
  assertEquals(refused.passed, false);
  assertStringIncludes(refused.reasons.join(), "over the baseline");

  const retrained = await compare(service, await train(service));
  assertEquals(retrained.passed, true);
  assertLess(retrained.candidateValue!, refused.baselineValue!);
});

Deno.test("compareVersions() judges only rows that neither model has learnt from", async () => {
  await using stand = await startStand();
  const { service, features } = stand;
  features.table = observe({ weeks: 30 });
  await promote(service, await train(service));
  features.table = observe({ weeks: WEEKS });
  const older = await compare(service, await train(service));
  // The champion has learnt from everything that the candidate's training set holds.
  assertEquals([older.passed, older.rows, older.candidateValue], [false, 0, null]);
  assertStringIncludes(older.reasons[0]!, "has 0 rows, the gate demands at least 100");

  await assertRejects(() => compare(service, 9), AppError, "there is no such version");
});

Deno.test("compareVersions() says that a champion with other features can't be compared", async () => {
  await using stand = await startStand();
  const { service, features } = stand;
  await promote(service, await train(service));
  const { features: columns, ...rest } = observe({ weeks: WEEKS });
  features.table = { ...rest, features: columns.slice(0, 2) };
  const compared = await compare(service, await train(service));
  assertEquals([compared.passed, compared.rows], [false, 180]);
  assertStringIncludes(compared.reasons[0]!, "The champion takes orders.noise");
});
